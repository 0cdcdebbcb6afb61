"""Clusters' folders on a disk of this host.

STATE/prod.lock             held by the run that acts on the cluster
STATE/prod/…                its files, as `store.py` names them
STATE/prod/kubeconfig       for the operator; may be written again at any time
STATE/prod.destroyed-…/…    of a cluster that is gone
STATE/prod.config/…         the configuration, where a restored cluster has it from its backup
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from ..contract.errors import FolderError
from ..contract.home import xdg_folder
from ..contract.kept_files import UNFINISHED, create_file, leftovers, replace_file, sync_folder, telling_os_errors
from . import lock as run_lock
from . import private_files
from .state import KUBECONFIG, Files, State

_FOLDERS = ("", "pki", "pki/etcd")
"""Of every cluster, each after the one that it is in."""


def default_state(environ: Mapping[str, str]) -> Path:
    """Where folders are kept unless `--state` says otherwise. Raises `ConfigError` for who has no home folder."""
    return xdg_folder(environ, "XDG_STATE_HOME", ".local/state")


def state_of(where: State | Path) -> State:
    """A path stands for the folders that lie there."""
    return StateOnDisk(where) if isinstance(where, Path) else where


@dataclass(frozen=True)
class StateOnDisk:
    local: Path

    def files(self, name: str) -> Files:
        return FilesOnDisk(path_of(self.local, name))

    @contextmanager
    def lock(self, name: str, *, briefly: bool = False) -> Iterator[None]:
        """Leaves nothing where nothing is saved. What a killed run had begun to write is cleared away."""
        with lock_cluster(self.local, name, briefly=briefly):
            _clear_away(self.local, name)
            yield


@dataclass(frozen=True)
class FilesOnDisk:
    path: Path

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def kubeconfig(self) -> Path | None:
        return self.path / KUBECONFIG

    def exists(self) -> bool:
        return private_files.is_there(self.path)

    def check(self) -> None:
        for folder in _FOLDERS:
            private_files.check_folder(self.path / folder)

    def names(self) -> Collection[str]:
        with telling_os_errors(f"{self.path} cannot be read", FolderError):
            paths = [path for path in self.path.rglob("*") if path.is_file() and not path.name.startswith(UNFINISHED)]
        return sorted(str(path.relative_to(self.path)) for path in paths)

    def has(self, file: str) -> bool:
        return private_files.is_there(self.path / file)

    def read(self, file: str) -> bytes:
        return private_files.read(self.path / file)

    def create(self, files: Mapping[str, bytes]) -> None:
        """A run killed meanwhile leaves nothing of that name."""
        create_state(self.path.parent)
        with telling_os_errors(f"{self.path} cannot be written", FolderError):
            self._create(files)

    def change(self, changes: Mapping[str, bytes | None], *, begins: bool = False) -> None:
        """Nobody writes meanwhile who heeds the lock."""
        for file, content in changes.items():
            path = self.path / file
            with telling_os_errors(f"{path} cannot be written", FolderError):
                if content is not None:
                    replace_file(path, content)
                elif path.exists():
                    path.unlink()
                    sync_folder(path.parent)

    def archive(self) -> str:
        base = f"{self.path.name}.destroyed-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        names = (base, *(f"{base}-{number}" for number in range(2, 100)))
        aside = next(path for path in map(self.path.with_name, names) if not path.exists())
        with telling_os_errors(f"{self.path} cannot be moved aside", FolderError):
            self.path.rename(aside)
            sync_folder(aside.parent)
        return str(aside)

    def _create(self, files: Mapping[str, bytes]) -> None:
        """Write everything beside the folder's place, then move it there."""
        beside = self.path.with_name(f".{self.path.name}.new-{secrets.token_hex(8)}")
        try:
            _write_files(beside, files)
            beside.rename(self.path)
        except BaseException as problem:
            shutil.rmtree(beside, ignore_errors=True)
            if isinstance(problem, OSError) and problem.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise made_meanwhile(self.where) from problem
            raise
        sync_folder(self.path.parent)


def made_meanwhile(where: str) -> FolderError:
    return FolderError(f"{where} exists already, which another run may have made: run again")


@contextmanager
def lock_cluster(local: Path, name: str, *, briefly: bool = False) -> Iterator[None]:
    """Let no other run of this host act on a cluster whose locks lie there. Leaves nothing where nothing is saved."""
    with _locked(path_of(local, name).with_name(f"{name}.lock"), f"cluster {name}", briefly=briefly):
        yield


@contextmanager
def lock_templates(local: Path) -> Iterator[None]:
    """Let no other run bake meanwhile. Leaves nothing. Raises BusyError that names the other run."""
    with _locked(local / ".bake.lock", "templates"):
        yield


@contextmanager
def _locked(path: Path, what: str, *, briefly: bool = False) -> Iterator[None]:
    """Folders that are made for the lock's file go with it, where nothing else has come into them."""
    made: list[Path] = []

    def prepare() -> None:
        made.extend(_missing(path.parent))
        _make(path.parent)

    try:
        with run_lock.hold(path, what, prepare, briefly=briefly):
            yield
    finally:
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()


def path_of(local: Path, name: str) -> Path:
    """The place of a folder of this cluster. Raises FolderError for what cannot be a cluster's name."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
        raise FolderError(f"{name!r} is no cluster name: it must be a DNS label")
    return local / name


def create_state(path: Path) -> None:
    """Idempotent. Raises FolderError."""
    with telling_os_errors(f"{path} cannot be made", FolderError):
        _make(path)


def _missing(path: Path) -> Sequence[Path]:
    return [folder for folder in (*reversed(path.parents), path) if not folder.exists()]


def _make(path: Path) -> None:
    """Raises FileNotFoundError where another run, which ends, has removed one of the folders meanwhile; else FolderError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        raise
    except OSError as problem:
        was_there = isinstance(problem, FileExistsError)
        if was_there and (Path(problem.filename).is_dir() or not os.path.lexists(problem.filename)):
            raise FileNotFoundError(errno.ENOENT, "it goes as soon as it is made", problem.filename) from problem
        if was_there or isinstance(problem, NotADirectoryError):
            raise FolderError(f"{problem.filename} is no folder: choose another --state") from problem
        raise FolderError(f"{path} cannot be made: {problem.strerror} ({problem.filename})") from problem


def _write_files(path: Path, files: Mapping[str, bytes]) -> None:
    inside = {str(parent) for file in files for parent in PurePosixPath(file).parents}
    folders = [path / folder for folder in sorted(inside)]  # each after the one that it is in
    for folder in folders:
        private_files.make_folder(folder)
    for file, content in files.items():
        create_file(path / file, content)
    for folder in folders:
        sync_folder(folder)


def _clear_away(local: Path, name: str) -> None:
    with telling_os_errors(f"{local} cannot be cleared of what a killed run left", FolderError):
        for leftover in local.glob(f".{name}.new-*"):
            shutil.rmtree(leftover)
        for leftover in leftovers(local / name):
            leftover.unlink()
