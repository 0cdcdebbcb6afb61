"""A backup that was found whole, and whose snapshot can be had again and again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from ..contract.errors import BackupError
from ..folder.pki import Snapshot
from .contents import CONFIG, FOLDER, About, End
from .keys import Keys
from .reader import check_backup, open_backup
from .sealed import Source

Opener = Callable[[], AbstractContextManager[Source]]


@dataclass(frozen=True)
class Archive:
    about: About
    folder: Mapping[str, bytes] = field(repr=False)
    """Files of the cluster's folder, by their paths in it."""
    configuration: Mapping[str, bytes] = field(repr=False)
    """Its documents, by the paths that `about` names."""
    end: End
    _open: Opener = field(repr=False)
    _keys: Keys = field(repr=False)
    where: str = ""
    """As whoever restores from it has named it."""

    @classmethod
    def check(cls, opener: Opener, keys: Keys, where: str = "") -> Archive:
        """Read it to its end. `where`: as people have named it.

        Raises `BackupError` for one that is not whole, or that `keys` do not open."""
        with opener() as source:
            checked = check_backup(source, keys)
        folder, configuration = (_below(checked.files, name) for name in (FOLDER, CONFIG))
        return cls(checked.about, folder, configuration, checked.end, opener, keys, where)

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(self.end.size, self.end.sha256)

    def pieces(self) -> Generator[bytes, None, None]:
        """Of the snapshot. Raises `BackupError` where the file is no longer what it was."""
        with self._open() as source, open_backup(source, self._keys) as backup:
            yield from backup.snapshot()
            if backup.end != self.end:
                raise BackupError("it is another backup than the one that was looked at: run again")


def _below(files: Mapping[str, bytes], folder: str) -> Mapping[str, bytes]:
    return {path.removeprefix(folder): content for path, content in files.items() if path.startswith(folder)}
