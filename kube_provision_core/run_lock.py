"""One run at a time: a lock between the processes (and threads) of everyone who shares the folder of secrets."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from .errors import FolderError


@contextmanager
def hold(path: Path, what: str) -> Iterator[None]:
    """Hold the lock on the file `path`, or raise FolderError, naming who holds it. Never waits.

    The kernel releases it however the process ends. The file stays: who deletes it could hold a lock that nobody sees.
    """
    descriptor = _open(path)
    try:
        _lock(descriptor, path, what)
        _write_holder(descriptor)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as problem:
        what = "is a symbolic link, which is never followed here" if problem.errno == errno.ELOOP else problem.strerror
        raise FolderError(f"{path}: {what}") from problem


def _lock(descriptor: int, path: Path, what: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        raise FolderError(f"another run is at work on {what} ({_holder(descriptor)}): wait for its end") from problem
    except OSError as problem:
        raise FolderError(
            f"{path} cannot be locked ({problem.strerror}): keep the state on another file system"
        ) from problem


def _write_holder(descriptor: int) -> None:
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder(descriptor: int) -> str:
    """Who holds the lock, for people. The holder may not have written it yet, or only in part."""
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {int(holder['pid'])} on {holder['host']}, since {holder['since']}"
    except (ValueError, TypeError, KeyError):
        return "it has just begun"
