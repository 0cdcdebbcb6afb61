"""A place for one task at the end of a seed: written by the host in place, read by a machine that runs.

    head: 4096 bytes    `kube-provision task LENGTH SHA256`, and empty lines
    the task            LENGTH bytes, and zeros

A machine that reads while the host writes finds another digest than the head's, and reads again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from ..contract.errors import TargetError

HEAD = BLOCK = 4096
"""Bytes; no disk that is read directly has larger blocks."""
SIZE = 1024 * 1024
LIMIT = SIZE - HEAD
_NAME = b"kube-provision task "


def append(image: bytes) -> bytes:
    """The image of a disk, with an empty mailbox behind it."""
    return image + bytes(-len(image) % BLOCK) + _head(b"") + bytes(LIMIT)


def put(path: Path, task: bytes) -> None:
    """Wherever this is killed, no task waits, or a whole one. Raises `TargetError` and OSError."""
    if len(task) > LIMIT:
        raise TargetError(f"{path}: a task of {len(task)} bytes is larger than the {LIMIT} that there is room for")
    with _opened(path) as (descriptor, start):
        _overwrite(descriptor, _head(b""), start)
        _overwrite(descriptor, task + bytes(LIMIT - len(task)), start + HEAD)
        _overwrite(descriptor, _head(task), start)


def empty(path: Path) -> None:
    """The head goes last: after a kill something waits still, for whoever takes it away again."""
    with _opened(path) as (descriptor, start):
        _overwrite(descriptor, bytes(LIMIT), start + HEAD)
        _overwrite(descriptor, _head(b""), start)


def read(path: Path) -> bytes:
    """The bytes that wait; of an image without a mailbox, or none, nothing. Raises OSError."""
    try:
        with path.open("rb") as image:
            image.seek(max(0, os.fstat(image.fileno()).st_size - SIZE))
            length = _length(image.read(HEAD))
            return image.read(length) if length else b""
    except FileNotFoundError:
        return b""


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, int]]:
    """A descriptor, and where the mailbox begins."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        start = os.fstat(descriptor).st_size - SIZE
        if start < 0 or _length(os.pread(descriptor, HEAD, start)) is None:
            raise TargetError(
                f"{path} has no place for tasks, since an earlier version of kube-provision made it; "
                "`kube-provision replace` makes its machine anew with one"
            )
        yield descriptor, start
    finally:
        os.close(descriptor)


def _overwrite(descriptor: int, content: bytes, start: int) -> None:
    """On the disk before what follows it."""
    os.pwrite(descriptor, content, start)
    os.fsync(descriptor)


def _head(task: bytes) -> bytes:
    return (_NAME + f"{len(task)} {sha256(task).hexdigest()}\n".encode()).ljust(HEAD, b"\n")


def _length(head: bytes) -> int | None:
    """Of the task; None for what is no head."""
    words = head.partition(b"\n")[0].removeprefix(_NAME).split()
    if not head.startswith(_NAME) or len(words) != 2 or not words[0].isdigit():
        return None
    return min(int(words[0]), LIMIT)
