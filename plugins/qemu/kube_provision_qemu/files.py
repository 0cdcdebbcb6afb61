"""Private folders, files written whole or not at all, and locks between processes and threads."""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kube_provision_core import TargetError

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another run: what is done under a lock is short, but for a power-off."""

_LOCK_POLL = 0.05
_FLOCK = "qqihh" if sys.platform == "darwin" else "hhqqi4x"
"""`struct flock` of 64-bit macOS, and of 64-bit Linux."""


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Turn the system's errors into the one line that a user reads: `what` could not be done, and why."""
    try:
        yield
    except OSError as problem:
        where = f" ({problem.filename})" if problem.filename else ""
        raise TargetError(f"{what}: {problem.strerror or problem}{where}") from problem


def make_private(folder: Path) -> None:
    """The folder and its parents, for nobody but their owner; an existing one stays as it is."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def write(path: Path, content: str) -> None:
    """Write or replace the file in one step, 0600: a reader, or a killed run, sees the old content or the new one."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        _lock(descriptor, what, time.monotonic() + LOCK_TIMEOUT)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, what: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as problem:
            if time.monotonic() > deadline:
                raise TargetError(f"{what}: another run is at work on it; try again when that has ended") from problem
        time.sleep(_LOCK_POLL)


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
