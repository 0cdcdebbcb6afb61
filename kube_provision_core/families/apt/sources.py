"""Repositories, as apt is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...contract.boot import NODE_CONFIG_DIR, File
from ...contract.packages import Repository

SOURCES = f"{NODE_CONFIG_DIR}/apt"
"""Where repository definitions are delivered; the node fills in its codename and hands them to apt."""
KEYRINGS = "/etc/apt/keyrings"
FLAT = "/"
"""The suite of a repository whose packages lie beside their index."""


@dataclass(frozen=True)
class Source:
    """One repository."""

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


def files(name: str, sources: Sequence[Source]) -> Iterator[File]:
    """The definition of a repository, of one or several trees, and its key where that is not fetched."""
    yield File(f"{SOURCES}/kube-provision-{name}.sources", "\n".join(source.stanza(name) for source in sources))
    key = sources[0].repository.key
    if key and not fetched_key(name, key):
        yield File(_keyring(name), key)


def fetched_key(name: str, key: str) -> list[str]:
    """What the node fetches: where to, and from where."""
    return [_keyring(name), key] if key.startswith("https://") else []


def _keyring(name: str) -> str:
    return f"{KEYRINGS}/kube-provision-{name}.asc"
