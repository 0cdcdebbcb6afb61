"""Watches over what a driver must not do: talk to the world too early, tell secrets."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_WORLD = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.bind",
    "subprocess.Popen",
    "os.system",
    "os.mkdir",
    "os.posix_spawn",
)
"""Audit events that mean input or output beyond reading files."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

_STARTING = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.putenv")
"""Audit events whose arguments everybody on this computer can read: argv, and the environment of what is started."""

_watching = threading.local()
_witness: Witness | None = None
_hooked = False


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook cannot be removed, so it looks whether anybody watches this thread, or all of them."""
    seen: list[str] | None = getattr(_watching, "seen", None)
    writes = event == "open" and _writes(*arguments)
    if seen is not None and (event in _WORLD or writes):
        seen.append(f"{event}{arguments!r:.80}")
    if _witness is not None and (writes or event in ("os.rename", *_STARTING)):
        _witness.note(event, arguments)


def _writes(path: object, mode: object, flags: object, *_: object) -> bool:
    """What Python keeps of the modules that it imports does not count."""
    return isinstance(flags, int) and bool(flags & _WRITING) and "__pycache__" not in str(path)


@contextmanager
def io_seen() -> Iterator[list[str]]:
    """What this thread did to the outside world meanwhile, and threads that it has left to do more."""
    _hook()
    _watching.seen = seen = list[str]()
    before = set(threading.enumerate())
    try:
        yield seen
    finally:
        _watching.seen = None
        seen += [f"thread {thread.name}" for thread in threading.enumerate() if thread not in before]


@dataclass
class Witness:
    """What everybody on this computer could see of a driver's work, in all threads."""

    started: list[str] = field(default_factory=list)
    """Arguments and environments of programs."""
    written: set[str] = field(default_factory=set)
    """Files that were opened to be written, and what they were called later."""

    def note(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in _STARTING:
            self.started.append(repr(arguments))
        else:
            place = arguments[1] if event == "os.rename" else arguments[0]
            self.written |= {os.fsdecode(place)} if isinstance(place, str | bytes | os.PathLike) else set()

    def readable(self, secrets: Iterable[str]) -> list[str]:
        """Files with a secret in them that others than their owner may read."""
        words = [secret.encode() for secret in secrets]
        files = [path for path in map(Path, self.written) if path.is_file() and path.stat().st_mode & 0o077]
        return [str(path) for path in files if any(word in path.read_bytes() for word in words)]


@contextmanager
def witnessed() -> Iterator[Witness]:
    global _witness
    _hook()
    _witness = witness = Witness()
    try:
        yield witness
    finally:
        _witness = None


def _hook() -> None:
    global _hooked
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True


class Records(logging.Handler):
    """Everything that is logged, at any level."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


@contextmanager
def logged() -> Iterator[list[str]]:
    """What anybody logs meanwhile, debugging included."""
    root, records = logging.getLogger(), Records()
    level = root.level
    root.addHandler(records)
    root.setLevel(logging.DEBUG)
    try:
        yield records.lines
    finally:
        root.setLevel(level)
        root.removeHandler(records)


def telling(texts: Iterable[str], secrets: Iterable[str]) -> list[str]:
    """The texts that hold one of the secrets, shortened."""
    secrets = tuple(secrets)
    return [text[:200] for text in texts if any(secret in text for secret in secrets)]
