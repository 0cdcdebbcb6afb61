"""Repositories, as dnf is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kube_provision_core import BootError, File, Repository

from .components import Component

FOLDER = "/etc/yum.repos.d"
KEYS = "/etc/pki/rpm-gpg"

KUBERNETES = "https://pkgs.k8s.io/core:/stable:/v{minor}/rpm/"
DOCKER = "https://download.docker.com/linux/centos"
HASHICORP = "https://rpm.releases.hashicorp.com"


@dataclass(frozen=True)
class Source:
    """One repository. dnf itself fills in `$releasever`, `$basearch` and `$stream`."""

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


def sources(
    chosen: Mapping[str, Component], versions: Mapping[str, str], mirrors: Mapping[str, Repository]
) -> tuple[Source, ...]:
    """Repositories besides the system's own, and the mirror that takes the place of those."""
    wanted = {component.repository: component for component in chosen.values() if component.repository}
    return (*_mirror_of_system(mirrors), *(_source(name, wanted[name], versions, mirrors) for name in sorted(wanted)))


def _source(name: str, component: Component, versions: Mapping[str, str], mirrors: Mapping[str, Repository]) -> Source:
    return Source(name, mirrors.get(name) or _upstream(name, versions), component.held)


def _upstream(name: str, versions: Mapping[str, str]) -> Repository:
    if name == "kubernetes":
        return _kubernetes(versions.get("kubeadm", ""))
    if name == "consul":
        return Repository(f"{HASHICORP}/RHEL/$releasever/$basearch/stable", f"{HASHICORP}/gpg")
    return Repository(f"{DOCKER}/$releasever/$basearch/stable", f"{DOCKER}/gpg")


def _kubernetes(version: str) -> Repository:
    """Upstream has one repository per minor."""
    if not version:
        raise BootError("component kubeadm: a version is needed to know its repository")
    url = KUBERNETES.format(minor=".".join(version.split(".")[:2]))
    return Repository(url, f"{url}repodata/repomd.xml.key")


def _mirror_of_system(mirrors: Mapping[str, Repository]) -> Iterator[Source]:
    if "os" in mirrors:
        mirror = mirrors["os"]
        for part in ("BaseOS", "AppStream"):
            url = f"{mirror.url.rstrip('/')}/$stream/{part}/$basearch/os/"
            yield Source(f"os-{part.lower()}", Repository(url, mirror.key))
