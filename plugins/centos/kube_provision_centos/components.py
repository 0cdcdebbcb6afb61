"""What is installed for each component, and what CentOS leaves undone after that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kube_provision_core import BootError


@dataclass(frozen=True)
class Component:
    """How a component is installed."""

    packages: tuple[str, ...] = ()
    """Packages that bear the component's version."""
    others: tuple[str, ...] = ()
    """What it needs besides."""
    held: tuple[str, ...] = ()
    """Packages that only a change of the cluster's version may change."""
    repository: str = ""
    """Name of the repository that the packages come from; empty for the system's own."""
    enabled: tuple[str, ...] = ()
    """Services that start at every boot: packages of this family leave that to others."""
    started: tuple[str, ...] = ()
    """Services that start at once, too."""
    masked: tuple[str, ...] = ()
    """Services that nobody may start."""
    kept: tuple[str, ...] = ()
    """Files that the boot delivers, and that the package would bring in another version."""
    ports: tuple[str, ...] = ()
    """Ports that other machines use."""


COMPONENTS: Mapping[str, Component] = {
    "kubeadm": Component(
        packages=("kubeadm", "kubectl", "kubelet"),
        others=("conntrack-tools", "ethtool", "iproute-tc", "iptables-nft", "nftables", "socat"),
        held=("cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni"),
        repository="kubernetes",
        enabled=("kubelet.service",),
    ),
    "container-runtime": Component(
        packages=("containerd.io",),
        others=("container-selinux",),
        repository="container-runtime",
        kept=("/etc/containerd/config.toml",),
    ),
    "tcp-proxy": Component(packages=("nginx",), others=("nginx-mod-stream",), masked=("nginx.service",)),
    "consul": Component(packages=("consul",), repository="consul", ports=("8301/tcp", "8301/udp")),
    "time-sync": Component(packages=("chrony",), started=("chronyd.service",)),
    "vmware-tools": Component(packages=("open-vm-tools",), started=("vmtoolsd.service",)),
    "qemu-guest-agent": Component(packages=("qemu-guest-agent",), started=("qemu-guest-agent.service",)),
}


def choose(names: frozenset[str]) -> dict[str, Component]:
    """The components of these names, by name. Raises `BootError` for one that is not known."""
    for name in sorted(names - COMPONENTS.keys()):
        raise BootError(f"os centos does not know the component {name}; it knows {', '.join(sorted(COMPONENTS))}")
    return {name: COMPONENTS[name] for name in sorted(names)}


def package_names(chosen: Mapping[str, Component], versions: Mapping[str, str]) -> Iterator[str]:
    """What is installed, with pins, in dnf's own words."""
    for name, component in chosen.items():
        pin = _pin(versions[name]) if name in versions else ""
        yield from (f"{package}{pin}" for package in component.packages)
        yield from component.others


def _pin(version: str) -> str:
    """Any release of an exact version, the newest patch of a minor."""
    return f"-{version}-*" if version.count(".") >= 2 else f"-{version}.*"
