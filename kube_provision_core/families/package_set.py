"""What a component is called by a package manager."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..contract.components import Component
from ..contract.errors import BootError


@dataclass(frozen=True)
class PackageSet:
    """The packages of one component."""

    packages: tuple[str, ...] = ()
    """Those that bear the component's version."""
    others: tuple[str, ...] = ()
    """What it needs besides."""
    held: tuple[str, ...] = ()
    """Packages that only a change of the cluster's version may change."""
    masked: tuple[str, ...] = ()
    """Services that nobody may start: a package brings them, and they are not wanted."""
    repository: str = ""
    """Name of the repository that the packages come from; empty for the system's own."""
    pinned_as: str = ""
    """The component whose version its packages bear; empty: it is asked for by its own name."""
    fetched: tuple[str, ...] = ()
    """Packages that are fetched at that version, too, and not installed."""


def names(chosen: Mapping[Component, PackageSet], versions: Mapping[str, str], separator: str) -> Iterator[str]:
    """What is installed, with pins behind the separator: any release of an exact version, the newest patch of a minor.

    A release is not always called `-1.1`.
    """
    for component, packages in chosen.items():
        pin = _pin(component, packages, versions, separator)
        yield from (f"{package}{pin}" for package in packages.packages)
        yield from packages.others


def fetched(chosen: Mapping[Component, PackageSet], versions: Mapping[str, str], separator: str) -> list[str]:
    """What is fetched beside that, with the same pins."""
    pins = {component: _pin(component, packages, versions, separator) for component, packages in chosen.items()}
    return [f"{name}{pins[component]}" for component, packages in chosen.items() for name in packages.fetched]


def _pin(component: Component, packages: PackageSet, versions: Mapping[str, str], separator: str) -> str:
    version = versions.get(packages.pinned_as or component, "")
    return f"{separator}{_pattern(version)}" if version else ""


def _pattern(version: str) -> str:
    return f"{version}-*" if version.count(".") >= 2 else f"{version}.*"


def minor(versions: Mapping[str, str]) -> str:
    """That of Kubernetes: upstream has a repository for each. Raises `BootError` where no version is known."""
    version = versions.get("kubeadm", "")
    if not version:
        raise BootError("component kubeadm: a version is needed to know its repository")
    return ".".join(version.split(".")[:2])
