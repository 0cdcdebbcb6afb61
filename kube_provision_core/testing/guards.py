"""Watches over what a driver must not do: talk to the world too early, tell secrets."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

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

_watching = threading.local()
_hooked = False


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook cannot be removed, so it looks whether anybody watches this thread."""
    seen: list[str] | None = getattr(_watching, "seen", None)
    if seen is not None and event in _WORLD:
        seen.append(f"{event}{arguments!r:.80}")


@contextmanager
def io_seen() -> Iterator[list[str]]:
    """What this thread did to the outside world meanwhile."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True
    _watching.seen = seen = list[str]()
    try:
        yield seen
    finally:
        _watching.seen = None


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
