"""Where clusters' folders of secrets are kept: what every such place offers, a disk of this host or a store elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

KUBECONFIG, KNOWN_HOSTS = "kubeconfig", "known_hosts"
_HOSTS_OWN = (KUBECONFIG, KNOWN_HOSTS)
"""In a folder on a disk alone: what any run makes anew, and what says which machines this host has spoken with."""


class Files(Protocol):
    """One cluster's folder: small files, by their paths in it. Whatever fails raises `FolderError`, in one line."""

    @property
    def where(self) -> str:
        """As people know it."""

    @property
    def path(self) -> Path:
        """A folder of this host, which need not exist, for what is the cluster's and no secret: the very one on a disk."""

    @property
    def kubeconfig(self) -> Path | None:
        """Where runs leave the operator's access; None: nowhere, and whoever wants it asks for it."""

    def exists(self) -> bool:
        """Whether there is one. One that has been destroyed is none."""

    def check(self) -> None:
        """Raise `FolderError` where others than its owner may change what is in there."""

    def names(self) -> Collection[str]:
        """Of all files."""

    def has(self, file: str) -> bool: ...

    def read(self, file: str) -> bytes:
        """Raises `FolderError` where it is missing, or others may read it."""

    def create(self, files: Mapping[str, bytes]) -> None:
        """All of them, in one step. Raises `FolderError` where there is a folder by now."""

    def change(self, changes: Mapping[str, bytes | None], *, begins: bool = False) -> None:
        """Write these, or take away those that are None, each in one step. It is kept when this returns.

        `begins`: a run acts on what it has read, and on nothing else. Raises `FolderError` where another run has written
        meanwhile: these files or, where one begins, any.
        """

    def archive(self) -> str:
        """Put it aside, so that the next cluster of this name gets its own. Returns where to."""


class State(Protocol):
    """The folders of all clusters."""

    @property
    def local(self) -> Path:
        """A folder of this host, for locks and for configurations that backups brought."""

    def files(self, name: str) -> Files:
        """Of this cluster, there or not. Raises `FolderError` for what cannot be a cluster's name."""

    def lock(self, name: str, *, briefly: bool = False) -> AbstractContextManager[None]:
        """Let no other run of this host act on this cluster meanwhile.

        `briefly`: others wait for its end. Raises `BusyError` that names the other run.
        """


def clusters_own(files: Files) -> Mapping[str, bytes]:
    """The files that go wherever the cluster's folder does, by their paths in it. Raises `FolderError`."""
    return {name: files.read(name) for name in files.names() if name not in _HOSTS_OWN}
