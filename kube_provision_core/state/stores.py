"""Stores of small objects, each of which one writer creates: whole, or not at all, and never over another."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from ..backup import filesystem, refuse_secrets_in
from ..contract.errors import BackupError, ConfigError, StateError
from ..contract.kept_files import UNFINISHED, write_new

_BY_SSH = ("sftp", "ssh")
_ON_DISK = ("file", "local")
_OBJECTS = ("s3", "s3a", "gs", "gcs")
"""Whose libraries ask the store itself for what is exclusive: fsspec's own `mode="create"` looks first, and then writes."""


class Store(Protocol):
    """Of one cluster's objects. Whatever its library raises is told by who calls it."""

    def names(self) -> list[str]:
        """None where nobody has created one."""

    def read(self, name: str) -> bytes:
        """Raises `FileNotFoundError`."""

    def create(self, name: str, content: bytes) -> None:
        """Raises `FileExistsError` where there is one of that name. After any other error it may have been created."""

    def delete(self, name: str) -> None: ...


def store_of(url: str, cluster: str) -> Store:
    """Nothing is asked yet. Raises `ConfigError` for a URL that cannot be used."""
    scheme, _, rest = url.partition("://")
    if scheme in _ON_DISK:
        return Disk(Path("/", rest) / cluster)
    try:
        if scheme in _BY_SSH:
            return Sftp(url.rstrip("/"), cluster)
        files, path = filesystem(url)
    except BackupError as problem:
        raise ConfigError(f"--state: {problem}") from problem
    return Objects(files, f"{path.rstrip('/')}/{cluster}")


def url_of(text: str) -> str:
    """The URL as its store is known by. Raises `ConfigError` for one that cannot be used: of a store in which two writers
    could both win, without its library, or that tells a secret."""
    scheme, _, rest = text.partition("://")
    if scheme not in (*_OBJECTS, *_BY_SSH, *_ON_DISK):
        raise ConfigError(f"--state {scheme}://…: two runs could both win there: name a store of s3, gs, sftp or file")
    try:
        refuse_secrets_in(text)
    except BackupError as problem:
        raise ConfigError(f"--state: {problem}") from problem
    if scheme in _ON_DISK and not rest.startswith("/"):
        raise ConfigError(f"--state {text}: a {scheme}:// URL has three slashes and a whole path: {scheme}:///…")
    url = f"{scheme}://{rest.rstrip('/')}"
    if scheme in _BY_SSH:
        _require_ssh(url)
    else:
        store_of(url, "")
    return url


def _require_ssh(url: str) -> None:
    """To make one of these would be to connect. An older fsspec believes any host key, and cannot be told otherwise."""
    try:
        from fsspec.implementations.sftp import HOST_KEY_POLICIES  # noqa: F401
    except ImportError as problem:
        raise ConfigError(
            f"--state {url}: fsspec from 2026.9 on and paramiko have to be installed for it ({problem})"
        ) from problem


def prove(store: Store, where: str) -> None:
    """Raise `StateError` where a second object takes the place of the first one: two writers could both win there."""
    name = f"{UNFINISHED}{secrets.token_hex(8)}"
    store.create(name, b"first")
    try:
        store.create(name, b"second")
    except FileExistsError:
        return
    finally:
        with suppress(Exception):
            store.delete(name)
    raise StateError(f"{where}: the store writes one object over another, so that two runs could both win: choose another")


@dataclass(frozen=True)
class Disk:
    """Of this host, or a share that knows links: a link to a finished file replaces none."""

    folder: Path

    def names(self) -> list[str]:
        return [path.name for path in self.folder.iterdir()] if self.folder.exists() else []

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def create(self, name: str, content: bytes) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(self.folder / name, content)

    def delete(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Sftp:
    """Of OpenSSH's server, whose `rename`, unlike `posix-rename`, links a finished file to its name and replaces none.

    Each call has a connection of its own: one that is kept for the half hour of a run would be cut off by many a firewall.
    """

    url: str
    cluster: str

    def names(self) -> list[str]:
        with self._connected() as (files, folder):
            try:
                return [str(name) for name in files.ftp.listdir(folder)]
            except FileNotFoundError:
                return []

    def read(self, name: str) -> bytes:
        with self._connected() as (files, folder):
            return bytes(files.cat_file(f"{folder}/{name}"))

    def create(self, name: str, content: bytes) -> None:
        with self._connected() as (files, folder):
            beside = f"{folder}/{UNFINISHED}{name}.{secrets.token_hex(6)}"
            _make_folders(files, PurePosixPath(folder))
            try:
                files.pipe_file(beside, content)
                _take_free_name(files, beside, f"{folder}/{name}")
            except BaseException:
                with suppress(Exception):
                    files.ftp.remove(beside)
                raise

    def delete(self, name: str) -> None:
        with self._connected() as (files, folder), suppress(FileNotFoundError):
            files.ftp.remove(f"{folder}/{name}")

    @contextmanager
    def _connected(self) -> Iterator[tuple[Any, str]]:
        from .host_keys import settings

        files, path = filesystem(self.url, skip_instance_cache=True, **settings())
        try:
            yield files, f"{path.rstrip('/')}/{self.cluster}"
        finally:
            files.client.close()


def _make_folders(files: Any, folder: PurePosixPath) -> None:
    """Others may make them, too, in the very moment, of which the server says no more than `Failure`."""
    if files.exists(str(folder)):
        return
    _make_folders(files, folder.parent)
    try:
        files.ftp.mkdir(str(folder))
    except OSError:
        if not files.exists(str(folder)):
            raise


def _take_free_name(files: Any, beside: str, path: str) -> None:
    """The server says no more than `Failure` of a name that is taken."""
    try:
        files.ftp.rename(beside, path)
    except OSError:
        if files.exists(path):
            raise FileExistsError(path) from None
        raise


@dataclass(frozen=True)
class Objects:
    """Of a store that creates an object only where there is none, when it is asked to: `If-None-Match: *` of S3, a
    generation of 0 of Google's."""

    files: Any
    folder: str

    def names(self) -> list[str]:
        self.files.invalidate_cache()
        try:
            found = self.files.ls(self.folder, detail=False)
        except FileNotFoundError:
            return []
        return [str(path).rstrip("/").rpartition("/")[2] for path in found]

    def read(self, name: str) -> bytes:
        self.files.invalidate_cache()
        return bytes(self.files.cat_file(f"{self.folder}/{name}"))

    def create(self, name: str, content: bytes) -> None:
        self.files.pipe_file(f"{self.folder}/{name}", content, mode="create")

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self.files.rm_file(f"{self.folder}/{name}")
