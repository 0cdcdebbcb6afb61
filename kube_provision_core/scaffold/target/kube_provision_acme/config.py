"""What users of this target may configure. Every key begins with the target's name, so that it clashes with nobody's."""

from __future__ import annotations

from ipaddress import IPv4Network

from kube_provision_core import DriverConfig, LocalPath, OnNodeNetwork, option


class AcmeConfig(DriverConfig):
    """Keys for acme."""

    acme_folder: LocalPath = option(help="Folder in which every machine is a folder.")
    acme_network: OnNodeNetwork[IPv4Network] = option(
        "192.0.2.0/24", per_role=True, help="Network that machines get addresses from."
    )
