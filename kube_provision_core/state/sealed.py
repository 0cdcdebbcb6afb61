"""A state in a store: what `folder/state.py` asks of one, over numbered objects. In clear in memory alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from ..backup import Keys, Recipients
from ..contract.errors import BusyError, FolderError
from ..folder.on_disk import lock_cluster, made_meanwhile, path_of
from ..folder.state import Files
from .numbers import Numbers, TakenError
from .record import Numbered, refuse_other_recipients, successor
from .stores import store_of

_TRIES = 10
"""Each is another run that has written something else meanwhile."""

Content = Mapping[str, bytes]
"""Of files, by their paths in the cluster's folder."""


@dataclass(frozen=True)
class SealedState:
    url: str
    home: Path
    """Where folders are kept that lie on this host."""
    recipients: Recipients
    keys: Keys = field(repr=False)

    @property
    def local(self) -> Path:
        """Of this store alone: clusters of one name in two stores are two."""
        return self.home / ".stores" / quote(self.url, safe="")

    def files(self, name: str) -> Files:
        return SealedFiles(self.numbers(name), path_of(self.local, name), self.recipients)

    def numbers(self, name: str) -> Numbers:
        """Raises `FolderError` for what cannot be a cluster's name, and `ConfigError` for a URL that cannot be used."""
        seen = path_of(self.local, name) / "seen.json"
        where = f"{self.url.rstrip('/')}/{name}"
        return Numbers(store_of(self.url, name), name, where, self.keys, seen)

    @contextmanager
    def lock(self, name: str, *, briefly: bool = False) -> Iterator[None]:
        """Runs of other hosts are kept apart by the numbers, and by the lock in discovery."""
        with lock_cluster(self.local, name, briefly=briefly):
            yield


class SealedFiles:
    """One cluster's, as this run has last seen or written them. The store is asked once a file is wanted."""

    def __init__(self, numbers: Numbers, path: Path, recipients: Recipients) -> None:
        self._numbers, self._path, self._recipients = numbers, path, recipients
        self._looked = False
        self._last: Numbered | None = None

    @property
    def where(self) -> str:
        return self._numbers.where

    @property
    def path(self) -> Path:
        return self._path

    @property
    def kubeconfig(self) -> Path | None:
        return None

    def exists(self) -> bool:
        return bool(self._files)

    def check(self) -> None:
        """There is nothing that a mode could say."""

    def names(self) -> Collection[str]:
        return sorted(self._files)

    def has(self, file: str) -> bool:
        return file in self._files

    def read(self, file: str) -> bytes:
        if file not in self._files:
            raise FolderError(f"{self.where} lacks {file}: restore it from your backup")
        return self._files[file]

    def create(self, files: Content) -> None:
        if self.exists():
            raise made_meanwhile(self.where)
        try:
            self._write(files, ("created",))
        except TakenError as taken:
            raise self._lost() from taken

    def change(self, changes: Mapping[str, bytes | None], *, begins: bool = False) -> None:
        """Goes by what another run has written meanwhile, unless it has changed one of these."""
        before = {file: self._files.get(file) for file in changes}

        def may_go_on(now: Content) -> bool:
            return not begins and all(now.get(file) == content for file, content in before.items())

        self._replace(lambda files: _changed(files, changes), ("begun",) if begins else sorted(changes), may_go_on)

    def archive(self) -> str:
        """Earlier numbers keep it."""
        self._replace(lambda _: {}, ("destroyed",), lambda _: True)
        return f"{self.where}, the numbers before {self._last.record.number if self._last else 0}"

    @property
    def _files(self) -> Content:
        if not self._looked:
            self._look()
        return self._last.record.files if self._last else {}

    def _look(self) -> None:
        self._last, self._looked = self._numbers.last(), True
        if self._last:
            refuse_other_recipients(self._last.record, self._recipients, self.where)

    def _replace(
        self, make: Callable[[Content], Content], changed: Collection[str], may_go_on: Callable[[Content], bool]
    ) -> None:
        """`may_go_on`: whether what another run of this cluster has written meanwhile leaves it as it is meant."""
        if not self.exists():
            raise FolderError(f"{self.where}: there is no cluster any more")
        meant = self._cluster_id
        for _ in range(_TRIES):
            try:
                return self._write(make(self._files), changed)
            except TakenError as taken:
                lost = self._lost()
                if not self.exists() or self._cluster_id != meant or not may_go_on(self._files):
                    raise lost from taken
        raise lost

    @property
    def _cluster_id(self) -> str:
        return self._last.record.cluster_id if self._last else ""

    def _write(self, files: Content, changed: Collection[str]) -> None:
        record = successor(self._last, self._numbers.cluster, files, changed, self._recipients)
        self._last = self._numbers.write(record, self._recipients)

    def _lost(self) -> BusyError:
        """Who was quicker. From now on this run has seen it."""
        self._look()
        won = self._last.record if self._last else None
        by = f"{won.by} has written number {won.number} at {won.written}" if won else "another run has written it"
        return BusyError(f"{self.where} was changed meanwhile: {by}. Nothing was changed by this run: run again")


def _changed(files: Content, changes: Mapping[str, bytes | None]) -> Content:
    together = {**files, **changes}
    return {file: content for file, content in together.items() if content is not None}
