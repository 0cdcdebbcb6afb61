"""Private folders, files that a guest writes, and locks between processes and threads."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kube_provision_core import wait_for_lock

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another run: what is done under a lock is short, but for a power-off."""

_FLOCK = "qqihh" if sys.platform == "darwin" else "hhqqi4x"
"""`struct flock` of 64-bit macOS, and of 64-bit Linux."""


def make_private(folder: Path) -> None:
    """The folder and its parents, for nobody but their owner; an existing one stays as it is."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def read_tail(path: Path, limit: int) -> str:
    """The last `limit` bytes of a file that a guest writes, as text; empty where there is no such file."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - limit))
            return file.read(limit).decode(errors="replace")
    except FileNotFoundError:
        return ""


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock on `path` against other runs and other threads of this one. The file stays when it is released.

    Raises `TargetError` when somebody else holds it for longer than `LOCK_TIMEOUT`.
    """
    make_private(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        wait_for_lock(descriptor, what, LOCK_TIMEOUT)
        yield
    finally:
        os.close(descriptor)


def holder(path: Path) -> int | None:
    """The living process that holds the POSIX lock on a pid file; None where nobody does.

    The lock goes with its process, so that a pid file which a crash or a reboot left behind names nobody.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, _pack_flock())
    finally:
        os.close(descriptor)
    return _unpack_flock(answer)


def _pack_flock() -> bytes:
    values = (0, 0, 0, fcntl.F_WRLCK, 0) if sys.platform == "darwin" else (fcntl.F_WRLCK, 0, 0, 0, 0)
    return struct.pack(_FLOCK, *values)


def _unpack_flock(answer: bytes) -> int | None:
    fields = struct.unpack(_FLOCK, answer)
    kind, pid = (fields[3], fields[2]) if sys.platform == "darwin" else (fields[0], fields[4])
    return None if kind == fcntl.F_UNLCK else int(pid)
