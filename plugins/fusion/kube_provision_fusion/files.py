"""Files written whole or not at all, and locks on folders between threads and between runs."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kube_provision_core import TargetError

OURS = ".kube-provision."
"""Beginning of the names of files that a killed run may leave behind half written."""

_POLL = 0.05


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Turn the system's errors into the one line that a user reads: `what` could not be done, and why."""
    try:
        yield
    except OSError as problem:
        raise TargetError(f"{what}: {problem.strerror or problem}") from problem


def write(path: Path, content: bytes) -> None:
    """Write or replace the file in one step, 0600: a reader, or a killed run, sees the old content or the new one."""
    beside = path.with_name(f"{OURS}{secrets.token_hex(6)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path, timeout: float, *, create: bool = False) -> Iterator[int | None]:
    """Hold the lock on a folder. None: there is no such folder, and nothing is held; with `create` it is made, 0700.

    The lock is on the folder itself, so that nothing is left of it. It goes with the last process that has the descriptor:
    a program that inherits it keeps the lock although the run that started it is killed. Raises `TargetError` when
    somebody else holds it for longer than `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        descriptor = _open(folder, create)
        if descriptor is None:
            yield None
            return
        try:
            with telling(f"{folder}: cannot be locked, which the file system that it lies on may not support"):
                _lock(descriptor, folder, deadline)
            if _is(folder, descriptor):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _open(folder: Path, create: bool) -> int | None:
    with telling(f"{folder}: this folder cannot be used"):
        if create:
            folder.mkdir(mode=0o700, exist_ok=True)
        try:
            return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None


def _lock(descriptor: int, folder: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as problem:
            if time.monotonic() > deadline:
                raise TargetError(f"{folder}: another run is at work on it; try again when that has ended") from problem
        time.sleep(_POLL)


def _is(folder: Path, descriptor: int) -> bool:
    """Whoever held the lock before may have removed the folder, and another may have made it anew."""
    try:
        there = folder.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))
