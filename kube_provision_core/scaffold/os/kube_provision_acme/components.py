"""What the core and other plugins ask for, in this system's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kube_provision_core import BootError, Component

SYSTEM = "acme"
"""`ID` of /etc/os-release on machines of this system."""
RELEASES = ("1", "2")
"""Its `VERSION_ID`s that this package is made for."""


@dataclass(frozen=True)
class PackageSet:
    packages: tuple[str, ...]
    """Packages that bear the component's version."""
    others: tuple[str, ...] = ()
    """What it needs besides."""
    services: tuple[str, ...] = ()
    """Enabled for every boot; packages of this system leave that to others."""
    masked: tuple[str, ...] = ()
    """Services that nobody may start: kube-provision runs the program itself."""
    held: tuple[str, ...] = ()
    """Packages that only a change of the cluster's version may change."""
    pinned_as: str = ""
    """The component whose version its packages bear; empty: its own."""


_HELD = ("cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni")

COMPONENTS: Mapping[Component, PackageSet] = {
    Component.KUBEADM: PackageSet(
        ("kubeadm", "kubectl", "kubelet"),
        ("conntrack-tools", "openssl", "socat"),
        services=("kubelet.service",),
        held=_HELD,
    ),
    Component.KUBEADM_ALONE: PackageSet(("kubeadm",), held=_HELD, pinned_as=Component.KUBEADM),
    Component.CONTAINER_RUNTIME: PackageSet(("containerd",)),
    Component.TCP_PROXY: PackageSet(("nginx",), ("nginx-mod-stream",), masked=("nginx.service",)),
    Component.CONSUL: PackageSet(("consul",)),
    Component.TIME_SYNC: PackageSet((), ("chrony",), services=("chronyd.service",)),
    Component.VMWARE_TOOLS: PackageSet((), ("open-vm-tools",), services=("vmtoolsd.service",)),
    Component.QEMU_GUEST_AGENT: PackageSet((), ("qemu-guest-agent",), services=("qemu-guest-agent.service",)),
}


def choose(names: frozenset[Component]) -> dict[Component, PackageSet]:
    """The components of these names, in an order that never changes."""
    for name in sorted(names - COMPONENTS.keys()):
        raise BootError(f"os {SYSTEM} does not know the component {name}; it knows {', '.join(sorted(COMPONENTS))}")
    return {name: COMPONENTS[name] for name in sorted(names)}


def package_names(chosen: Mapping[Component, PackageSet], versions: Mapping[str, str]) -> Iterator[str]:
    """What is installed, with pins, in dnf's own words."""
    for name, component in chosen.items():
        yield from (f"{package}{_pin(versions.get(component.pinned_as or name, ''))}" for package in component.packages)
        yield from component.others


def _pin(version: str) -> str:
    """Any release of an exact version, the newest patch of a minor, or whatever there is."""
    if not version:
        return ""
    return f"-{version}-*" if version.count(".") >= 2 else f"-{version}.*"
