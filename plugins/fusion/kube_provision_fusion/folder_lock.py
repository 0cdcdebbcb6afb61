"""Locks on folders, between threads and between runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kube_provision_core import telling_os_errors, wait_for_lock


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
            wait_for_lock(descriptor, str(folder), deadline - time.monotonic())
            if _is(folder, descriptor):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _open(folder: Path, create: bool) -> int | None:
    with telling_os_errors(f"{folder}: this folder cannot be used"):
        if create:
            folder.mkdir(mode=0o700, exist_ok=True)
        try:
            return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None


def _is(folder: Path, descriptor: int) -> bool:
    """Whoever held the lock before may have removed the folder, and another may have made it anew."""
    try:
        there = folder.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))
