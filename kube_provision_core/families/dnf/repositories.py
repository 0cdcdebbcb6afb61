"""Repositories, as dnf is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...contract.boot import File
from ...contract.components import Component
from ...contract.packages import Repository
from ..package_set import minor
from .package_sets import DnfPackageSet

FOLDER = "/etc/yum.repos.d"
KEYS = "/etc/pki/rpm-gpg"

KUBERNETES = "https://pkgs.k8s.io/core:/stable:/v{minor}/rpm/"

UPSTREAMS: Mapping[str, Repository] = {
    "kubernetes": Repository(KUBERNETES, f"{KUBERNETES}repodata/repomd.xml.key"),
    "container-runtime": Repository(
        "https://download.docker.com/linux/centos/$releasever/$basearch/stable",
        "https://download.docker.com/linux/centos/gpg",
    ),
    "consul": Repository(
        "https://rpm.releases.hashicorp.com/RHEL/$releasever/$basearch/stable", "https://rpm.releases.hashicorp.com/gpg"
    ),
}
"""`{minor}` is that of Kubernetes. dnf itself fills in `$releasever` and `$basearch`."""


@dataclass(frozen=True)
class Source:
    """One repository."""

    name: str
    repository: Repository
    excluded: tuple[str, ...] = ()
    """Packages that an update of the system leaves alone."""

    @property
    def id(self) -> str:
        return f"kube-provision-{self.name}"

    def files(self) -> Iterator[File]:
        lines = [f"[{self.id}]", f"name={self.id}", f"baseurl={self.repository.url}", "enabled=1", "gpgcheck=1"]
        lines += ["skip_if_unavailable=False"]  # else dnf says that there is no such package
        lines += [f"gpgkey={self._key_url}"] if self.repository.key else []  # else the keys that rpm has must vouch for it
        lines += [f"excludepkgs={','.join(self.excluded)}"] if self.excluded else []
        yield File(f"{FOLDER}/{self.id}.repo", "\n".join([*lines, ""]))
        if self.repository.key and self._key_url.startswith("file:"):
            yield File(self._key_path, self.repository.key)

    @property
    def _key_path(self) -> str:
        return f"{KEYS}/{self.id}.asc"

    @property
    def _key_url(self) -> str:
        return self.repository.key if self.repository.key.startswith("https://") else f"file://{self._key_path}"


def upstream(
    chosen: Mapping[Component, DnfPackageSet],
    versions: Mapping[str, str],
    upstreams: Mapping[str, Repository],
    mirrors: Mapping[str, Repository],
) -> Iterator[Source]:
    """The repositories besides the system's own, or their mirrors."""
    wanted = {packages.repository: packages for packages in chosen.values() if packages.repository}
    for name in sorted(wanted):
        yield Source(name, mirrors.get(name) or _for_minor(upstreams[name], versions), wanted[name].held)


def mirror_of_system(mirror: Repository, release: str) -> Iterator[Source]:
    """What takes the place of the system's own repositories; `release` is a release's folder there."""
    for part in ("BaseOS", "AppStream"):
        url = f"{mirror.url.rstrip('/')}/{release}/{part}/$basearch/os/"
        yield Source(f"os-{part.lower()}", Repository(url, mirror.key))


def _for_minor(repository: Repository, versions: Mapping[str, str]) -> Repository:
    if "{minor}" not in repository.url:
        return repository
    return Repository(*(text.format(minor=minor(versions)) for text in (repository.url, repository.key)))
