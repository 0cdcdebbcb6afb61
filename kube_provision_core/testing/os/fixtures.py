"""What an author says of a system, and how the checks ask its driver."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ... import Cluster, Component, Packages, Repository
from ..connected import Connected
from ..dry_run import DryMachine
from ..fixtures import DriverFixtures
from ..samples import cluster_of

CORE: frozenset[str] = frozenset({Component.KUBEADM, Component.CONTAINER_RUNTIME, Component.TCP_PROXY})
"""What the core itself asks for."""


class OsFixtures(DriverFixtures):
    needed = ("os_packages", "render_boot")

    known_components: frozenset[str] = frozenset(Component) - CORE - {Component.KUBEADM_ALONE}
    """What targets and discovery ask for besides; leave out what the system cannot have."""
    enables_by_itself: bool = False
    """Whether this system's packages enable their services for every boot, as Debian's do."""
    nginx_brings_stream: bool = False
    """Whether its nginx has the stream module without another package."""
    releases: tuple[str, ...] = ()
    """/etc/os-release of each release that the driver supports; empty: whether it looks is not checked."""

    folders: tuple[str, ...] = ()
    """Folders that every machine of this system has, and that the steps count on."""

    @pytest.fixture
    def cluster(self) -> Cluster:
        return cluster_of("m-contract-1", "w-contract-1")

    @pytest.fixture
    def machine(self, tmp_path: Path) -> DryMachine:
        """A folder that stands for a machine of this system."""
        machine = DryMachine(tmp_path / "machine")
        machine.write("/etc/os-release", self.releases[0] if self.releases else "ID=contract\nVERSION_CODENAME=contract\n")
        for folder in self.folders:
            (machine.folder / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        return machine


def ask(
    driver: Connected,
    components: frozenset[str] = CORE,
    versions: Mapping[str, str] | None = None,
    repositories: Mapping[str, Repository] | None = None,
    extra: frozenset[str] = frozenset(),
) -> Packages:
    """What the driver answers, for Kubernetes 1.36 where no version is given."""
    packages = driver.os_packages(
        components=components,
        versions={"kubeadm": "1.36"} if versions is None else versions,
        repositories=repositories or {},
        extra=extra,
    )
    assert isinstance(packages, Packages), f"os_packages returned a {type(packages).__name__}, not Packages"
    return packages
