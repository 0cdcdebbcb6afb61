"""What is installed for each component, and what systems of the family leave undone after that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...contract.components import Component
from ..package_set import PackageSet


@dataclass(frozen=True)
class DnfPackageSet(PackageSet):
    """Packages of this family leave it to others to start what they bring."""

    enabled: tuple[str, ...] = ()
    """Services that start at every boot."""
    started: tuple[str, ...] = ()
    """Services that start at once, too."""
    kept: tuple[str, ...] = ()
    """Files that the boot delivers, and that the package would bring in another version."""
    ports: tuple[str, ...] = ()
    """Ports that other machines use, for firewalld: `8301/udp`."""


_HELD = ("cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni")

COMPONENTS: Mapping[Component, DnfPackageSet] = {
    Component.KUBEADM: DnfPackageSet(
        packages=("kubeadm", "kubectl", "kubelet"),
        others=("conntrack-tools", "ethtool", "iproute-tc", "iptables-nft", "nftables", "openssl", "socat"),
        held=_HELD,
        repository="kubernetes",
        enabled=("kubelet.service",),
    ),
    Component.KUBEADM_ALONE: DnfPackageSet(
        packages=("kubeadm",),
        fetched=("kubectl", "kubelet"),
        held=_HELD,
        repository="kubernetes",
        pinned_as=Component.KUBEADM,
    ),
    Component.CONTAINER_RUNTIME: DnfPackageSet(
        packages=("containerd.io",),
        others=("container-selinux",),
        repository="container-runtime",
        kept=("/etc/containerd/config.toml",),
    ),
    Component.TCP_PROXY: DnfPackageSet(packages=("nginx",), others=("nginx-mod-stream",), masked=("nginx.service",)),
    Component.CONSUL: DnfPackageSet(packages=("consul",), repository="consul", ports=("8301/tcp", "8301/udp")),
    Component.TIME_SYNC: DnfPackageSet(packages=("chrony",), started=("chronyd.service",)),
    Component.VMWARE_TOOLS: DnfPackageSet(packages=("open-vm-tools",), started=("vmtoolsd.service",)),
    Component.QEMU_GUEST_AGENT: DnfPackageSet(packages=("qemu-guest-agent",), started=("qemu-guest-agent.service",)),
}
