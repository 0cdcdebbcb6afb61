"""A driver for systems of Debian's family: apt repositories, pins, holds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from ...contract.boot import BootFragment, File, Stage, Step
from ...contract.components import Component
from ...contract.driver import DriverConfig
from ...contract.hookspecs import hookimpl
from ...contract.machines import Cluster, Node, Role
from ...contract.packages import Packages, Repository
from ..package_set import PackageSet, fetched, minor, names
from ..package_system import PackageSystem
from ..scripts import script, text
from .archive import CODENAME, Archive
from .sources import Source, fetched_key, files

KUBERNETES = "https://pkgs.k8s.io/core:/stable:/v{minor}/deb/"
HASHICORP = "https://apt.releases.hashicorp.com"

_HELD = ("cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni")

COMPONENTS: Mapping[Component, PackageSet] = {
    Component.KUBEADM: PackageSet(
        packages=("kubeadm", "kubectl", "kubelet"),
        others=("conntrack", "curl", "ethtool", "iptables", "openssl", "socat"),
        held=_HELD,
        repository="kubernetes",
    ),
    Component.KUBEADM_ALONE: PackageSet(
        packages=("kubeadm",),
        fetched=("kubectl", "kubelet"),
        held=_HELD,
        repository="kubernetes",
        pinned_as=Component.KUBEADM,
    ),
    Component.CONTAINER_RUNTIME: PackageSet(packages=("containerd",)),
    Component.TCP_PROXY: PackageSet(packages=("nginx",), others=("libnginx-mod-stream",), masked=("nginx.service",)),
    Component.CONSUL: PackageSet(packages=("consul",), repository="consul"),
    Component.TIME_SYNC: PackageSet(),  # cloud-init's `ntp` brings the client that the release prefers
    Component.VMWARE_TOOLS: PackageSet(packages=("open-vm-tools",)),
    Component.QEMU_GUEST_AGENT: PackageSet(packages=("qemu-guest-agent",)),
}


class AptSystem(PackageSystem):
    """A driver for one system of Debian's family; a subclass says how the system differs."""

    Config = DriverConfig
    family = "apt"
    package_name = re.compile(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?(=\S+)?")
    components: ClassVar[Mapping[Component, PackageSet]] = COMPONENTS

    archives: ClassVar[tuple[Archive, ...]]
    """What a mirror of the system's own archive must have; its suites may hold `CODENAME`."""
    archive_components: ClassVar[tuple[str, ...]]
    """The archive's components, such as `main`."""
    archive_keyring: ClassVar[str]
    """The file of keys that vouches for a mirror which brings none."""
    archive_sources: ClassVar[tuple[str, ...]]
    """Files that name the system's own archive; a mirror takes their place."""

    def __init__(self, config: Mapping[Role, DriverConfig]) -> None:
        """Nothing is configured: what is installed follows from the cluster, what it comes from is the core's."""

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        """The same on every machine."""
        return BootFragment(
            steps=(
                self.release_step(),
                Step("apt-pause", Stage.PREPARE, text("apt/scripts/apt-pause.sh"), timeout=60),
                Step("apt-resume", Stage.FINISH, text("apt/scripts/apt-resume.sh"), timeout=60),
            )
        )

    @hookimpl
    def os_packages(
        self,
        components: frozenset[Component],
        versions: Mapping[str, str],
        repositories: Mapping[str, Repository],
        extra: frozenset[str],
    ) -> Packages:
        chosen = {name: self.components[name] for name in self.known(components)}
        wanted = (*names(chosen, versions, "="), *self.extra_names(extra))
        delivered: list[File] = []
        keys: list[str] = []
        for name, sources in self._sources(chosen, versions, repositories):
            delivered += files(name, sources)
            keys += fetched_key(name, sources[0].repository.key)
        install = script(
            "apt/scripts/packages.sh",
            wanted=wanted,
            keys=keys,
            held=sorted({package for component in chosen.values() for package in component.held}),
            masked=sorted({unit for component in chosen.values() for unit in component.masked}),
            replaced=self.archive_sources if "os" in repositories else (),
        )
        steps = (Step("packages", Stage.INSTALL, install, timeout=1800), *_fetch(fetched(chosen, versions, "=")))
        return Packages(wanted, tuple(delivered), steps, _list_versions(wanted))

    @hookimpl
    def upgrade_packages(self) -> Sequence[Step]:
        upgrade = f"{text('apt/scripts/upgrade.sh')}\n{text('newest-kernel.sh')}"
        return (Step("packages", Stage.INSTALL, upgrade, timeout=3600),)

    def _sources(
        self, chosen: Mapping[Component, PackageSet], versions: Mapping[str, str], mirrors: Mapping[str, Repository]
    ) -> Iterator[tuple[str, tuple[Source, ...]]]:
        """Repositories besides the system's own, by name, and whatever takes the place of that."""
        wanted = {component.repository for component in chosen.values()}
        if "kubernetes" in wanted:
            mirror = mirrors.get("kubernetes") or _kubernetes(versions)
            yield "kubernetes", (Source(mirror),)
        if "consul" in wanted:
            mirror = mirrors.get("consul") or Repository(HASHICORP, f"{HASHICORP}/gpg")
            yield "consul", (Source(mirror, (CODENAME,), ("main",)),)
        if "container-runtime" in mirrors and "container-runtime" in chosen:
            yield "container-runtime", (Source(mirrors["container-runtime"]),)
        if "os" in mirrors:
            yield "os", tuple(self._archive(mirrors["os"], archive) for archive in self.archives)

    def _archive(self, mirror: Repository, archive: Archive) -> Source:
        repository = Repository(mirror.url.rstrip("/") + archive.beside, mirror.key) if archive.beside else mirror
        return Source(repository, archive.suites, self.archive_components, self.archive_keyring)


def _fetch(packages: Sequence[str]) -> Iterator[Step]:
    if packages:
        yield Step("fetch", Stage.INSTALL, script("apt/scripts/fetch.sh", fetched=packages), timeout=1800)


def _kubernetes(versions: Mapping[str, str]) -> Repository:
    url = KUBERNETES.format(minor=minor(versions))
    return Repository(url, f"{url}Release.key")


def _list_versions(wanted: Iterable[str]) -> str:
    plain = " ".join(shlex.quote(name.partition("=")[0]) for name in wanted)
    return f"dpkg-query --show --showformat '${{Package}} ${{Version}}\\n' {plain}" if plain else ""
