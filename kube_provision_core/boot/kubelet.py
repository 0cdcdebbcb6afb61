"""When the kubelet starts: its package enables it, and it is started at once and at every boot from then on. And with what.

What the cluster keeps for all kubelets is written anew at each upgrade; what lies in a folder of drop-ins stays, and may
differ from node to node. https://kubernetes.io/docs/tasks/administer-cluster/kubelet-config-file/#kubelet-conf-d
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

from ..contract.boot import File
from . import storage
from .kubeadm_config import KUBELET_DROP_INS, begun, kubelet_settings
from .templating import render
from .yaml_text import dump

if TYPE_CHECKING:
    from ..config.core import CoreConfig

KUBERNETES_DATA = ("/var/lib/etcd", "/var/lib/kubelet", "/var/lib/containerd")
"""A disk of their own that does not come at a boot must not be mistaken for an empty one: etcd would begin anew."""

SETTINGS = f"{KUBELET_DROP_INS}/50-kube-provision.conf"

_DROP_INS = "etc/systemd/system/kubelet.service.d"


def once_configured() -> File:
    """Also in a template: systemd has read the units of a first boot before any boot data are there."""
    return _drop_in("kube-provision.conf", "configured.conf")


def settings(config: CoreConfig) -> Iterator[File]:
    """Read after what the cluster keeps: of what both hold this counts, of lists the whole."""
    if kubelet_settings(config):
        yield File(SETTINGS, drop_in(config))


def drop_in(config: CoreConfig) -> str:
    return dump(begun("KubeletConfiguration") | kubelet_settings(config))


def with_its_disks(config: CoreConfig) -> Iterator[File]:
    if paths := storage.mounted_below(KUBERNETES_DATA, config):
        yield _drop_in("kube-provision-disks.conf", "disks.conf", paths=paths)


def _drop_in(name: str, template: str, **known: Hashable) -> File:
    return File(f"/{_DROP_INS}/{name}", render(f"{_DROP_INS}/{template}", **known))
