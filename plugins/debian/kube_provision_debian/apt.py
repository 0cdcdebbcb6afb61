"""What systems of Debian's family have in common: apt repositories, pins, holds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import ClassVar

from kube_provision_core import (
    NODE_CONFIG_DIR,
    BootError,
    BootFragment,
    Cluster,
    DriverConfig,
    File,
    Node,
    Packages,
    Repository,
    Stage,
    Step,
    hookimpl,
    shell_arrays,
)

SOURCES = f"{NODE_CONFIG_DIR}/apt"
"""Where repository definitions are delivered; the node fills in its codename and hands them to apt."""
KEYRINGS = "/etc/apt/keyrings"
FLAT = "/"
"""The suite of a repository whose packages lie beside their index."""
CODENAME = "@CODENAME@"

KUBERNETES = "https://pkgs.k8s.io/core:/stable:/v{minor}/deb/"
HASHICORP = "https://apt.releases.hashicorp.com"

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?(=\S+)?")


@dataclass(frozen=True)
class Archive:
    """One of the trees of packages that a system's own archive consists of, as a mirror has it."""

    suites: tuple[str, ...]
    beside: str = ""
    """Put at the end of the first tree's URL, it names this one."""


@dataclass(frozen=True)
class Component:
    """How a component is installed."""

    packages: tuple[str, ...] = ()
    """Packages that bear the component's version."""
    others: tuple[str, ...] = ()
    """What it needs besides."""
    held: tuple[str, ...] = ()
    """Packages that only a change of the cluster's version may change."""
    masked: tuple[str, ...] = ()
    """Services that a package would start by itself, and that are not wanted."""
    repository: str = ""
    """Name of the repository that the packages come from; empty for the system's own."""


COMPONENTS: Mapping[str, Component] = {
    "kubeadm": Component(
        packages=("kubeadm", "kubectl", "kubelet"),
        others=("conntrack", "curl", "ethtool", "iptables", "socat"),
        held=("cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni"),
        repository="kubernetes",
    ),
    "container-runtime": Component(packages=("containerd",)),
    "tcp-proxy": Component(packages=("nginx",), others=("libnginx-mod-stream",), masked=("nginx.service",)),
    "consul": Component(packages=("consul",), repository="consul"),
    "time-sync": Component(),  # cloud-init's `ntp` brings the client that the release prefers
    "vmware-tools": Component(packages=("open-vm-tools",)),
    "qemu-guest-agent": Component(packages=("qemu-guest-agent",)),
}


class AptSystem:
    """A driver for one system of the family; a subclass says how the system differs. One content serves all its releases."""

    Config = DriverConfig

    system: ClassVar[str]
    """`ID` of /etc/os-release."""
    releases: ClassVar[tuple[str, ...]]
    """`VERSION_ID`s that are supported."""
    components: ClassVar[Mapping[str, Component]] = COMPONENTS
    archives: ClassVar[tuple[Archive, ...]]
    """What a mirror of the system's own archive must have."""
    archive_components: ClassVar[tuple[str, ...]]
    archive_keyring: ClassVar[str]
    archive_sources: ClassVar[tuple[str, ...]]
    """Files that name the system's own archive; a mirror takes their place."""

    def __init__(self, config: Mapping[object, DriverConfig]) -> None:
        """Nothing is configured: what is installed follows from the cluster, what it comes from is the core's."""

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        """The same on every machine."""
        release = _script("release.sh", system=[self.system], releases=self.releases)
        return BootFragment(
            steps=(
                Step("release", Stage.PREPARE, release, timeout=30, attempts=1),
                Step("apt-pause", Stage.PREPARE, _text("apt-pause.sh"), timeout=60),
                Step("apt-resume", Stage.FINISH, _text("apt-resume.sh"), timeout=60),
            )
        )

    @hookimpl
    def os_packages(
        self,
        components: frozenset[str],
        versions: Mapping[str, str],
        repositories: Mapping[str, Repository],
        extra: frozenset[str],
    ) -> Packages:
        chosen = {name: self._component(name) for name in sorted(components)}
        names = (*_names(chosen, versions), *_extra_names(extra))
        files: list[File] = []
        keys: list[str] = []
        for name, sources in self._sources(chosen, versions, repositories):
            files += _files(name, sources)
            keys += _fetched_key(name, sources[0].repository.key)
        script = _script(
            "packages.sh",
            wanted=names,
            keys=keys,
            held=sorted({package for component in chosen.values() for package in component.held}),
            masked=sorted({unit for component in chosen.values() for unit in component.masked}),
            replaced=self.archive_sources if "os" in repositories else (),
        )
        steps = (Step("packages", Stage.INSTALL, script, timeout=1800),)
        return Packages(names, tuple(files), steps, _list_versions(names))

    @hookimpl
    def seal_image(self) -> Sequence[Step]:
        return (Step("apt", Stage.FINISH, _text("seal.sh"), timeout=120),)

    def _component(self, name: str) -> Component:
        if name not in self.components:
            raise BootError(
                f"os {self.system} does not know the component {name}; it knows {', '.join(sorted(self.components))}"
            )
        return self.components[name]

    def _sources(
        self, chosen: Mapping[str, Component], versions: Mapping[str, str], mirrors: Mapping[str, Repository]
    ) -> Iterator[tuple[str, tuple[Source, ...]]]:
        """Repositories besides the system's own, by name, and whatever takes the place of that."""
        wanted = {component.repository for component in chosen.values()}
        if "kubernetes" in wanted:
            mirror = mirrors.get("kubernetes") or _kubernetes(versions.get("kubeadm", ""))
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


@dataclass(frozen=True)
class Source:
    """One repository, as apt is told of it."""

    repository: Repository
    suites: tuple[str, ...] = (FLAT,)
    components: tuple[str, ...] = ()
    keyring: str = ""
    """The key that vouches for it if it brings none itself; empty: any key that the system trusts."""

    def stanza(self, name: str) -> str:
        lines = [f"URIs: {self.repository.url}", f"Suites: {' '.join(self.suites)}"]
        lines += [f"Components: {' '.join(self.components)}"] if self.components else []
        signed_by = _keyring(name) if self.repository.key else self.keyring
        lines += [f"Signed-By: {signed_by}"] if signed_by else []
        return "\n".join(["Types: deb", *lines, ""])


def _files(name: str, sources: Sequence[Source]) -> Iterator[File]:
    """The definition of a repository, of one or several trees, and its key where that is not fetched."""
    yield File(f"{SOURCES}/kube-provision-{name}.sources", "\n".join(source.stanza(name) for source in sources))
    key = sources[0].repository.key
    if key and not _fetched_key(name, key):
        yield File(_keyring(name), key)


def _fetched_key(name: str, key: str) -> list[str]:
    """What the node fetches: where to, and from where."""
    return [_keyring(name), key] if key.startswith("https://") else []


def _keyring(name: str) -> str:
    return f"{KEYRINGS}/kube-provision-{name}.asc"


def _kubernetes(version: str) -> Repository:
    """Upstream has one repository per minor."""
    if not version:
        raise BootError("component kubeadm: a version is needed to know its repository")
    url = KUBERNETES.format(minor=".".join(version.split(".")[:2]))
    return Repository(url, f"{url}Release.key")


def _names(chosen: Mapping[str, Component], versions: Mapping[str, str]) -> Iterator[str]:
    for name, component in chosen.items():
        pin = _pin(versions[name]) if name in versions else ""
        yield from (f"{package}{pin}" for package in component.packages)
        yield from component.others


def _list_versions(names: Iterable[str]) -> str:
    plain = " ".join(shlex.quote(name.partition("=")[0]) for name in names)
    return f"dpkg-query --show --showformat '${{Package}} ${{Version}}\\n' {plain}" if plain else ""


def _pin(version: str) -> str:
    """Any revision of an exact version, the newest patch of a minor. The revision is not always `-1.1`."""
    return f"={version}-*" if version.count(".") >= 2 else f"={version}.*"


def _extra_names(extra: Iterable[str]) -> Iterator[str]:
    for name in sorted(extra):
        if not _PACKAGE.fullmatch(name):
            raise BootError(f"packages: {name}: is no name of a package")
        yield name


def _script(name: str, **lists: Iterable[str]) -> str:
    """One of the scripts beside this module, with shell arrays set for it."""
    return f"{shell_arrays(**lists)}\n{_text(name)}"


@cache
def _text(name: str) -> str:
    return (resources.files(__package__) / name).read_text()
