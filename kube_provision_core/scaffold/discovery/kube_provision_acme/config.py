"""What users of this discovery may configure. Every key begins with its name, so that it clashes with nobody's."""

from __future__ import annotations

from ipaddress import IPv4Address

from kube_provision_core import DriverConfig, LocalPath, OnNodeNetwork, option


class AcmeConfig(DriverConfig):
    """Keys for acme."""

    acme_server: OnNodeNetwork[IPv4Address] = option(help="Address of the file server that shares the folder.")
    acme_folder: LocalPath = option(help="The shared folder, as it is mounted here.")
    acme_mount: str = option("/mnt/acme", pattern=r"^/[\w./-]+$", help="The shared folder, as it is mounted on the nodes.")
