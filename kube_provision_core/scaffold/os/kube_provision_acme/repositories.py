"""Repositories besides the system's own; a mirror takes the place of upstream, and brings its own key or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kube_provision_core import Component, File, Repository

from .components import PackageSet

KUBERNETES = "https://pkgs.k8s.io/core:/stable:/v{minor}/rpm/"
CONSUL = "https://rpm.releases.hashicorp.com/fedora/$releasever/$basearch/stable"


@dataclass(frozen=True)
class Source:
    """One repository, as dnf is told of it."""

    name: str
    repository: Repository
    held: tuple[str, ...] = ()
    """Packages that an update of the system leaves alone."""

    @property
    def id(self) -> str:
        return f"kube-provision-{self.name}"

    def files(self) -> Iterator[File]:
        lines = [f"[{self.id}]", f"name={self.id}", f"baseurl={self.repository.url}", "gpgcheck=1"]
        lines += [f"gpgkey={self._key_url}"] if self.repository.key else []  # else the keys that rpm has must vouch for it
        lines += [f"excludepkgs={','.join(self.held)}"] if self.held else []
        yield File(f"/etc/yum.repos.d/{self.id}.repo", "\n".join([*lines, ""]))
        if self.repository.key and not self._is_fetched:
            yield File(self._key_path, self.repository.key)

    @property
    def _is_fetched(self) -> bool:
        """A key is a URL, or the ASCII-armoured key itself."""
        return self.repository.key.startswith("https://")

    @property
    def _key_path(self) -> str:
        return f"/etc/pki/rpm-gpg/{self.id}.asc"

    @property
    def _key_url(self) -> str:
        return self.repository.key if self._is_fetched else f"file://{self._key_path}"


def sources(
    chosen: Mapping[Component, PackageSet], versions: Mapping[str, str], mirrors: Mapping[str, Repository]
) -> Iterator[Source]:
    kubeadm = chosen.get(Component.KUBEADM) or chosen.get(Component.KUBEADM_ALONE)
    if kubeadm:
        upstream = _kubernetes(versions.get("kubeadm", ""))
        yield Source("kubernetes", mirrors.get("kubernetes", upstream), kubeadm.held)
    if Component.CONSUL in chosen:
        yield Source("consul", mirrors.get("consul", Repository(CONSUL, "https://rpm.releases.hashicorp.com/gpg")))
    if Component.CONTAINER_RUNTIME in chosen and "container-runtime" in mirrors:
        yield Source("container-runtime", mirrors["container-runtime"])
    if "os" in mirrors:
        yield Source("os", mirrors["os"])


def _kubernetes(version: str) -> Repository:
    """Upstream has one repository per minor."""
    url = KUBERNETES.format(minor=".".join(version.split(".")[:2]))
    return Repository(url, f"{url}repodata/repomd.xml.key")
