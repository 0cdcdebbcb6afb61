"""A folder for what is secret and must not be left behind, not even by a run that is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "kube-provision-secret-"
_YOUNG = 60.0
"""Seconds for which one that nobody holds may be about to be held."""
_GUARD = """
trap '' TERM
cat
kill -TERM 0
until rm -rf "$1"; do sleep 1; done
"""
"""Its input ends when whoever has the other end does, however. Then its group goes, and the folder."""


@dataclass(frozen=True)
class Scratch:
    folder: Path
    group: int
    """A process group; whoever is started in it uses the folder and ends with it."""


@contextmanager
def scratch() -> Iterator[Scratch]:
    """A folder for this user alone. It goes when the context ends or this process does, and its group's processes before.

    Where its guard was killed too, as with a whole unit of systemd, or the host lost power, it goes with the next one.
    """
    _clear_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with _opened(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,  # so that Ctrl-C at a terminal is not meant for it
            pass_fds=(descriptor,),  # it holds the folder for as long as it lives
        )
        with guard:  # closes its input, and waits for it
            yield Scratch(folder, guard.pid)


def _clear_abandoned() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), _opened(folder) as descriptor:  # another user's, or held
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(descriptor).st_mtime > _YOUNG:
                shutil.rmtree(folder)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
