"""A backup, written as a stream."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from ..contract.errors import BackupError
from .contents import ABOUT, END, LARGEST_FILE, LARGEST_SUM, MOST_FILES, SNAPSHOT, About, End, written
from .keys import Recipients
from .sealed import Sink, seal


class SnapshotStream(Protocol):
    """etcd's snapshot, while it arrives."""

    @property
    def size(self) -> int:
        """Bytes of all pieces."""

    @property
    def revision(self) -> int:
        """Each change up to it is in there."""

    def __iter__(self) -> Iterator[bytes]: ...


def write_backup(
    sink: Sink, recipients: Recipients, about: About, files: Mapping[str, bytes], snapshot: SnapshotStream
) -> End:
    """Write one that `recipients` can open. `files`: by paths below `config/` and `folder/`.

    Raises `BackupError` for files that nobody would read. What the snapshot or the sink raises is raised; what has been
    written by then is no backup.
    """
    _refuse_unreadable(files)
    members = _Members(about, files, snapshot)
    seal(members.pieces(), sink, recipients)
    return members.end


def _refuse_unreadable(files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        if len(content) > LARGEST_FILE:
            raise BackupError(
                f"{path} has {len(content)} bytes, and a backup takes files of {LARGEST_FILE}: keep it elsewhere"
            )
    total = sum(map(len, files.values()))
    if total > LARGEST_SUM:
        raise BackupError(f"the folder and the configuration have {total} bytes, and a backup takes {LARGEST_SUM}")
    if len(files) > MOST_FILES:
        raise BackupError(f"the folder and the configuration have {len(files)} files, and a backup takes {MOST_FILES}")


class _Members:
    def __init__(self, about: About, files: Mapping[str, bytes], snapshot: SnapshotStream) -> None:
        self._about, self._files, self._snapshot = about, files, snapshot
        self.end: End

    def pieces(self) -> Iterator[bytes]:
        yield from self._file(ABOUT, written(self._about))
        for path, content in sorted(self._files.items()):
            yield from self._file(path, content)
        yield from self._member(SNAPSHOT, self._snapshot.size, self._counted())
        yield from self._file(END, written(self.end))
        yield bytes(2 * tarfile.BLOCKSIZE)

    def _counted(self) -> Iterator[bytes]:
        digest, size = hashlib.sha256(), 0
        for piece in self._snapshot:
            digest.update(piece)
            size += len(piece)
            yield piece
        if size != self._snapshot.size:
            raise BackupError(f"etcd has sent {size} bytes of a snapshot of {self._snapshot.size}: back up again")
        self.end = End(size, digest.hexdigest(), self._snapshot.revision)

    def _file(self, path: str, content: bytes) -> Iterator[bytes]:
        return self._member(path, len(content), (content,))

    def _member(self, path: str, size: int, content: Iterable[bytes]) -> Iterator[bytes]:
        header = tarfile.TarInfo(path)
        header.size, header.mode, header.mtime = size, 0o600, int(self._about.created.timestamp())
        yield header.tobuf(tarfile.PAX_FORMAT)
        yield from content
        yield bytes(-size % tarfile.BLOCKSIZE)
