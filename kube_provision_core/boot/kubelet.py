"""When the kubelet starts: its package enables it, and it is started at once and at every boot from then on."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

from ..contract.boot import File
from ..contract.machines import Node
from . import storage
from .templating import render

if TYPE_CHECKING:
    from ..config.core import CoreConfig

KUBERNETES_DATA = ("/var/lib/etcd", "/var/lib/kubelet", "/var/lib/containerd")
"""A disk of their own that does not come at a boot must not be mistaken for an empty one: etcd would begin anew."""

_DROP_INS = "etc/systemd/system/kubelet.service.d"


def once_configured() -> File:
    """Also in a template: systemd has read the units of a first boot before any boot data are there."""
    return _drop_in("kube-provision.conf", "configured.conf")


def with_its_disks(node: Node, config: CoreConfig) -> Iterator[File]:
    if paths := storage.mounted_below(KUBERNETES_DATA, node, config):
        yield _drop_in("kube-provision-disks.conf", "disks.conf", paths=paths)


def _drop_in(name: str, template: str, **known: Hashable) -> File:
    return File(f"/{_DROP_INS}/{name}", render(f"{_DROP_INS}/{template}", **known))
