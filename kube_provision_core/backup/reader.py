"""A backup, read as a stream. Nothing of it is to be believed before its end was seen."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import RawIOBase
from pathlib import PurePosixPath
from typing import IO

from ..contract.errors import BackupError
from .contents import (
    ABOUT,
    CONFIG,
    END,
    FOLDER,
    LARGEST_FILE,
    LARGEST_SUM,
    MOST_FILES,
    SNAPSHOT,
    About,
    End,
    read_about,
    read_end,
    strange,
)
from .keys import Keys
from .sealed import Source, opened

PIECE = 256 * 1024
_HEADERS = 4 * 1024 * 1024
"""Bytes that tar itself may have around all members; some kilobytes of each are usual."""
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)


@dataclass(frozen=True)
class Checked:
    """What a whole backup holds, but for the snapshot itself."""

    about: About
    files: Mapping[str, bytes] = field(repr=False)
    end: End


class Backup:
    """One that is being read: what stands before the snapshot is known, the snapshot comes next."""

    def __init__(self, members: Iterator[tuple[tarfile.TarInfo, IO[bytes]]]) -> None:
        self._members = members
        header, content = self._next()
        if header.name != ABOUT:
            raise strange()
        self.about: About = read_about(_content(header, content))
        self.files: dict[str, bytes] = {}
        """By paths such as `folder/pki/ca.crt` and `config/config.yml`."""
        self._snapshot = self._read_files()
        self.end: End
        """Known once the snapshot was read."""

    @property
    def size(self) -> int:
        """Bytes of the snapshot."""
        return self._snapshot[0].size

    def snapshot(self) -> Iterator[bytes]:
        """Its pieces, once. When they end all was checked; raises `BackupError` before where anything is wrong."""
        digest = hashlib.sha256()
        while piece := _read(self._snapshot[1], PIECE):
            digest.update(piece)
            yield piece
        header, content = self._next()
        if header.name != END:
            raise strange()
        end = read_end(_content(header, content))
        if (end.size, end.sha256) != (self.size, digest.hexdigest()) or next(self._members, None):
            raise strange()
        self.end = end

    def checked(self) -> Checked:
        """Read all that is left."""
        for _ in self.snapshot():
            pass
        return Checked(self.about, self.files, self.end)

    def _read_files(self) -> tuple[tarfile.TarInfo, IO[bytes]]:
        """Up to the snapshot."""
        left = LARGEST_SUM
        while (member := self._next())[0].name != SNAPSHOT:
            path = member[0].name
            left -= member[0].size
            if not _may_be_written(path) or len(self.files) >= MOST_FILES or left < 0:
                raise strange()
            self.files[path] = _content(*member)
        if not {f"{CONFIG}{document}" for document in self.about.documents} <= self.files.keys():
            raise strange()
        return member

    def _next(self) -> tuple[tarfile.TarInfo, IO[bytes]]:
        member = next(self._members, None)
        if member is None:
            raise strange()
        return member


@contextmanager
def open_backup(source: Source, keys: Keys) -> Iterator[Backup]:
    """Read one as far as its snapshot. Raises `BackupError` for what is cut or changed, or what `keys` do not open."""
    with opened(source, keys) as inside:
        yield Backup(_members(inside))


def check_backup(source: Source, keys: Keys) -> Checked:
    """Read it to its end, in flat memory. Raises as `open_backup` does, for every part of it."""
    with open_backup(source, keys) as backup:
        return backup.checked()


def _may_be_written(path: str) -> bool:
    """Whoever knows a recipient can make a backup, of files that lead out of the folders that they are written to."""
    parts = PurePosixPath(path).parts
    return path.startswith((CONFIG, FOLDER)) and path == "/".join(parts) and ".." not in parts


def _members(inside: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    bounded = _Bounded(inside, _HEADERS)
    try:
        with tarfile.open(fileobj=bounded, mode="r|", bufsize=64 * 1024) as tar:
            for member in tar:
                content = tar.extractfile(member) if _is_plain(member) else None
                if content is None:
                    raise strange()
                bounded.left += member.size
                yield member, content
    except BackupError:
        raise
    except Exception as problem:  # of a header that tar's library was not made for
        raise strange() from problem
    while inside.read(PIECE):  # what age has not said the end of is not whole
        pass


def _is_plain(member: tarfile.TarInfo) -> bool:
    """Its bytes are there, one by one. A sparse file says that it has any number, which nobody has written."""
    return member.type in _PLAIN and not member.issparse() and member.size >= 0


class _Bounded(RawIOBase):
    """A stream of which no more is read than was allowed: tar's library holds headers in memory, however large."""

    def __init__(self, inside: IO[bytes], left: int) -> None:
        self._inside, self.left = inside, left

    def read(self, size: int = -1, /) -> bytes:
        content = self._inside.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise strange()
        return content


def _content(header: tarfile.TarInfo, content: IO[bytes]) -> bytes:
    if header.size > LARGEST_FILE:
        raise strange()
    return _read(content, header.size)


def _read(content: IO[bytes], size: int) -> bytes:
    try:
        return content.read(size)
    except tarfile.TarError as problem:
        raise strange() from problem
