"""Watches over what a driver must not do: talk to the world too early, tell secrets."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from kube_provision_core import BootFragment, Packages

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

_watching = threading.local()
_hooked = False


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook cannot be removed, so it looks whether anybody watches this thread."""
    seen: list[str] | None = getattr(_watching, "seen", None)
    if seen is not None and (event in _WORLD or (event == "open" and _writes(*arguments))):
        seen.append(f"{event}{arguments!r:.80}")


def _writes(path: object, mode: object, flags: object, *_: object) -> bool:
    """What Python keeps of the modules that it imports does not count."""
    return isinstance(flags, int) and bool(flags & _WRITING) and "__pycache__" not in str(path)


@contextmanager
def io_seen() -> Iterator[list[str]]:
    """What this thread did to the outside world meanwhile, and threads that it has left to do more."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True
    _watching.seen = seen = list[str]()
    before = set(threading.enumerate())
    try:
        yield seen
    finally:
        _watching.seen = None
        seen += [f"thread {thread.name}" for thread in threading.enumerate() if thread not in before]


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


UNFILLED = re.compile(r"\{\{ *[\w.]+ *\}\}|\{% ")
"""Traces of a template that was not filled in."""


def unfilled(fragment: BootFragment | Packages | None) -> list[str]:
    """What was left of templates in files and scripts."""
    if fragment is None:
        return []
    contents = [file.content for file in fragment.files if isinstance(file.content, str)]
    return UNFILLED.findall("\n".join([*contents, *(step.script for step in fragment.steps)]))


def telling(texts: Iterable[str], secrets: Iterable[str]) -> list[str]:
    """The texts that hold one of the secrets, shortened."""
    secrets = tuple(secrets)
    return [text[:200] for text in texts if any(secret in text for secret in secrets)]
