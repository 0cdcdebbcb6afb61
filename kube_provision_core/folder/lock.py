"""One run at a time: a lock between the processes (and threads) of everyone who shares the folder of secrets."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from ..contract.errors import BusyError, FolderError

_PATIENCE, _POLL = 60.0, 0.1
"""Seconds for who holds it briefly, and between two looks whether it still does."""
_MAKING = 10.0
"""Seconds for making a file in a folder that others remove once it is empty."""


@contextmanager
def hold(path: Path, what: str, prepare: Callable[[], None], *, briefly: bool = False) -> Iterator[None]:
    """Hold the lock on the file `path`, or raise BusyError, naming who holds it. Never waits for who holds it for long.

    `briefly`: who holds it lets go soon, again and again. That is waited for, and waits for nobody. `prepare` makes the
    folder, which may go again before the file is in it; it raises FileNotFoundError where it goes while it is made.

    Raises FolderError where it cannot be locked. The kernel releases it however the process ends, and the file goes with it;
    of a killed process it stays, and means nothing.
    """
    descriptor = _held(path, what, prepare, 0.0 if briefly else _PATIENCE)
    try:
        _write_holder(descriptor, briefly)
        yield
    finally:
        with suppress(OSError):
            if _is_at(path, descriptor):
                path.unlink()
        # Closing is not enough: a child that another thread is just starting still has the descriptor until it executes.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _held(path: Path, what: str, prepare: Callable[[], None], patience: float) -> int:
    """The lock on a file that is gone by then is nobody's: whoever had it has deleted that, and a new one counts."""
    while True:
        descriptor = _open(path, prepare)
        try:
            _lock(descriptor, path, what, patience)
            if _is_at(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _open(path: Path, prepare: Callable[[], None]) -> int:
    deadline = time.monotonic() + _MAKING
    while True:
        try:
            prepare()
            return _opened(path)
        except FileNotFoundError as problem:  # the folder has gone with whoever had made it
            if time.monotonic() > deadline:
                raise FolderError(f"{path}: its folder goes as often as it is made") from problem
        time.sleep(_POLL / 10)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        raise
    except OSError as problem:
        what = "is a symbolic link, which is never followed here" if problem.errno == errno.ELOOP else problem.strerror
        raise FolderError(f"{path}: {what}") from problem


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _lock(descriptor: int, path: Path, what: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not _is_free(descriptor, path):
        who, briefly = _holder(descriptor)
        if not briefly or time.monotonic() > deadline:
            raise BusyError(f"another run is at work on {what} ({who}): wait for its end")
        time.sleep(_POLL)


def _is_free(descriptor: int, path: Path) -> bool:
    """It is ours then."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as problem:
        raise FolderError(
            f"{path} cannot be locked ({problem.strerror}): keep the state on another file system"
        ) from problem
    return True


def _write_holder(descriptor: int, briefly: bool) -> None:
    since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "briefly": briefly}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder(descriptor: int) -> tuple[str, bool]:
    """Who holds the lock, for people, and whether briefly. The holder may not have written it yet, or only in part."""
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        who = f"process {int(holder['pid'])} on {holder['host']}, since {holder['since']}"
        return who, holder.get("briefly") is True
    except (ValueError, TypeError, KeyError):
        return "it has just begun", False
