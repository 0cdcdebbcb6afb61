"""Where backups lie: on a disk of this host, or in a store that fsspec knows by its URL."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from ..contract.errors import BackupError
from ..contract.kept_files import UNFINISHED, sync_folder
from .sealed import Sink, Source, reason

T = TypeVar("T")

LIBRARY = "pip install 'kube-provision[urls]'"


class Store(Protocol):
    """A folder. Whatever its library raises is told by who calls it."""

    def names(self) -> list[str]: ...

    def exists(self, name: str) -> bool: ...

    def is_folder(self, name: str) -> bool: ...

    def takes_files(self, name: str) -> bool:
        """Whether there is such a folder, or need be none."""

    def create(self, name: str) -> AbstractContextManager[Sink]:
        """A new file, kept when the context ends."""

    def open(self, name: str) -> AbstractContextManager[Source]: ...

    def move(self, name: str, to: str) -> None: ...

    def delete(self, name: str) -> None: ...


@dataclass(frozen=True)
class Disk:
    folder: Path

    def names(self) -> list[str]:
        return [path.name for path in self.folder.iterdir()]

    def exists(self, name: str) -> bool:
        return os.path.lexists(self.folder / name)

    def is_folder(self, name: str) -> bool:
        return (self.folder / name).is_dir()

    def takes_files(self, name: str) -> bool:
        """It is not made either: where a disk is not mounted it would be on another."""
        return self.is_folder(name)

    @contextmanager
    def create(self, name: str) -> Iterator[Sink]:
        descriptor = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask is
            yield file
            file.flush()
            os.fsync(descriptor)

    def open(self, name: str) -> AbstractContextManager[Source]:
        return (self.folder / name).open("rb")

    def move(self, name: str, to: str) -> None:
        """A name that is given by a link replaces none, as one that is given by renaming does."""
        try:
            (self.folder / to).hardlink_to(self.folder / name)
        except FileExistsError:
            raise
        except OSError:  # of sticks and shares whose file system knows no links
            (self.folder / name).rename(self.folder / to)
        self.delete(name)
        sync_folder(self.folder)

    def delete(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Remote:
    """Of fsspec. Who may read what lies there is the store's matter."""

    files: Any
    folder: str

    @property
    def ends_with_process(self) -> bool:
        """Also one that another store only shows, as caches and folders of stores do."""
        from fsspec.implementations.memory import MemoryFileSystem

        files = self.files
        while files is not None and not isinstance(files, MemoryFileSystem):
            files = getattr(files, "fs", None)
        return files is not None

    def names(self) -> list[str]:
        self.files.invalidate_cache()
        return [str(path).rstrip("/").rpartition("/")[2] for path in self.files.ls(self.folder, detail=False)]

    def exists(self, name: str) -> bool:
        self.files.invalidate_cache()
        return bool(self.files.exists(self._path(name)))

    def is_folder(self, name: str) -> bool:
        return bool(self.files.isdir(self._path(name)))

    def takes_files(self, name: str) -> bool:
        """Where folders are beginnings of names there is none before its first file. None is made: it may be a bucket."""
        return self.is_folder(name) or not self.exists(name)

    def create(self, name: str) -> AbstractContextManager[Sink]:
        created: AbstractContextManager[Sink] = self.files.open(self._path(name), "wb")
        return created

    def open(self, name: str) -> AbstractContextManager[Source]:
        opened: AbstractContextManager[Source] = self.files.open(self._path(name), "rb")
        return opened

    def move(self, name: str, to: str) -> None:
        self.files.mv(self._path(name), self._path(to))

    def delete(self, name: str) -> None:
        if self.exists(name):
            self.files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.folder.rstrip('/')}/{name}" if name else self.folder


@dataclass(frozen=True)
class Place:
    """A file's, there or not; empty `name`: the folder itself. Whatever fails raises `BackupError`, in one line."""

    store: Store
    name: str
    text: str
    """As people know it."""

    @property
    def is_folder(self) -> bool:
        return self._told(lambda: self.store.is_folder(self.name))

    @contextmanager
    def open(self) -> Iterator[Source]:
        context = self._told(lambda: self.store.open(self.name))
        with context as source:
            yield source

    @contextmanager
    def create(self) -> Iterator[Sink]:
        context = self._told(lambda: self.store.create(self.name))
        sink = self._told(context.__enter__)
        try:
            yield _Told(sink, self)
        except BaseException as problem:
            with suppress(Exception):
                context.__exit__(type(problem), problem, problem.__traceback__)
            raise
        self._told(lambda: context.__exit__(None, None, None))

    @contextmanager
    def replaced_when_done(self) -> Iterator[Place]:
        """A place beside it. The file that is made there comes to this one when the context ends well, else it goes.

        What is here already is never replaced.
        """
        self.refuse_existing()
        beside = replace(self, name=f"{UNFINISHED}{self.name}.{secrets.token_hex(6)}")
        try:
            yield beside
            self.refuse_existing()
            self._told(lambda: self.store.move(beside.name, self.name))
        except BaseException:
            with suppress(Exception):
                self.store.delete(beside.name)
            raise

    def refuse_existing(self) -> None:
        if self.is_folder:
            raise BackupError(f"{self.text} is a folder: name a file in it, or say how many are kept there by --keep")
        if self._told(lambda: self.store.exists(self.name)):
            raise BackupError(f"{self.text} exists already, and no backup is written over another: name a new file")

    def refuse_inside(self, folder: Path) -> None:
        """What lies in the cluster's folder is lost with it, and would be in the next backup."""
        if isinstance(self.store, Disk) and (self.store.folder / self.name).resolve().is_relative_to(folder.resolve()):
            raise BackupError(
                f"{self.text} is in the cluster's folder, which may be lost with the cluster: keep it elsewhere"
            )

    def refuse_passing(self) -> None:
        """A store in this process's memory takes what it is given, and keeps nothing of it."""
        if isinstance(self.store, Remote) and self.store.ends_with_process:
            raise BackupError(
                f"{self.text} is in this program's memory, and ends with it: name a file, or a store that stays"
            )

    def _told(self, act: Callable[[], T]) -> T:
        """Stores raise whatever their libraries do."""
        try:
            return act()
        except BackupError:
            raise
        except Exception as problem:
            raise BackupError(f"{self.text}: {reason(problem)}") from problem

    # --- of a folder --------------------------------------------------------------------------------------------------

    def require_folder(self) -> None:
        if not self._told(lambda: self.store.takes_files(self.name)):
            raise BackupError(f"{self.text} is no folder, which --keep takes: make it first")

    def below(self, name: str) -> Place:
        """A file of this folder."""
        return Place(self._inside, name, f"{self.text.rstrip('/')}/{name}")

    def names(self) -> list[str]:
        """Of the files in this folder."""
        return self._told(self._inside.names)

    def delete(self, name: str) -> None:
        """From this folder. One that is gone already is fine."""
        self._told(lambda: self._inside.delete(name))

    @property
    def _inside(self) -> Store:
        if isinstance(self.store, Disk):
            return Disk(self.store.folder / self.name)
        assert isinstance(self.store, Remote)
        return Remote(self.store.files, self.store._path(self.name))


class _Told:
    def __init__(self, sink: Sink, place: Place) -> None:
        self._sink, self._place = sink, place

    def write(self, content: bytes) -> object:
        return self._place._told(lambda: self._sink.write(content))

    def flush(self) -> object:
        return self._place._told(self._sink.flush)


def place(text: str) -> Place:
    """Of a path, or a URL. Nothing is opened yet. Raises `BackupError` for a URL that cannot be used."""
    scheme, _, rest = text.partition("://")
    if not rest or not scheme.isidentifier():
        return _on_disk(text, text)
    if scheme in ("file", "local"):  # fsspec would make files there that others may read
        return _on_disk(rest, text)
    files, path = filesystem(text)
    folder, _, name = str(path).rstrip("/").rpartition("/")
    return Place(Remote(files, folder), name, text)


def _may_tell_a_secret(url: str) -> bool:
    """Where it does, URLs are kept in plans and shown. Users of the web are tokens as often as names."""
    try:
        parts = urlsplit(url)
    except ValueError:  # nobody can tell
        return True
    web = parts.scheme in ("http", "https")
    return parts.password is not None or bool(parts.query) or (web and parts.username is not None)


def _on_disk(path: str, text: str) -> Place:
    at = Path(path).absolute()
    return Place(Disk(at.parent), at.name, text)


def refuse_secrets_in(url: str) -> None:
    """Raise `BackupError`."""
    if _may_tell_a_secret(url):
        raise BackupError(
            f"a password, or what may be one, stands in the {url.partition('://')[0]} URL before the host or after a `?`, "
            "where others see it: give it as fsspec's settings do"
        )


def filesystem(url: str, **settings: object) -> tuple[Any, str]:
    """fsspec's own, and the path in it. Raises `BackupError` for a URL that cannot be used."""
    refuse_secrets_in(url)
    scheme = url.partition("://")[0]
    try:
        from fsspec.core import url_to_fs
    except ImportError as problem:
        raise BackupError(f"{url} is a URL, for which fsspec has to be installed: {LIBRARY}") from problem
    try:
        files, path = url_to_fs(url, **settings)
    except Exception as problem:
        raise BackupError(f"{url}: fsspec cannot use {scheme} ({reason(problem)})") from problem
    return files, str(path)
