"""What VMware wrote into a machine's `vmware.log`: when it was powered on, and why it was not, of which vmrun says only `The
operation was canceled`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

FILE = "vmware.log"

_LIMIT = 256 * 1024
"""Bytes of the log's end that are looked at."""

_MESSAGE = re.compile(r"\[(msg\.[\w.-]+)\] *(\S.*)")
_HEADING = re.compile(r"\bMsg_(\w+):")
"""Begins a group of messages: `Msg_Post: Error`, `Msg_Question:`, and `Msg_Hint:`, which stops nothing."""

_HINT = "Hint"
_CONSEQUENCES = re.compile(r"msg\.(moduletable|vmx\.poweron|button)\b")
"""That a module, and with it the machine, was not started: the cause stands before it."""


_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)")


def on_since(folder: Path) -> float | None:
    """When the machine was powered on last, in seconds since the epoch: with its first line, since each power-on begins
    another log. None where nobody tells."""
    with suppress(OSError, ValueError), (folder / FILE).open(errors="replace") as log:
        if begun := _TIME.match(log.readline(_LIMIT)):
            return datetime.fromisoformat(begun[0]).timestamp()
    return None


def complaint(folder: Path, since: float) -> str:
    """The cause, in VMware's words and by its name; empty where the log was not written after `since` (`time.time`)."""
    path = folder / FILE
    try:
        if path.stat().st_mtime < since:
            return ""
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _LIMIT))
            text = log.read(_LIMIT).decode(errors="replace")
    except OSError:
        return ""
    return next((f"{message} ({FILE}: {name})" for name, message in _causes(text)), "")


def _causes(text: str) -> Iterator[tuple[str, str]]:
    """The last group's first; a group of nothing but consequences is none."""
    groups: list[list[tuple[str, str]]] = [[]]
    kind = ""
    for line in text.splitlines():
        if heading := _HEADING.search(line):
            kind = heading[1]
            groups.append([])
        elif kind != _HINT and (message := _MESSAGE.search(line)) and not _CONSEQUENCES.match(message[1]):
            groups[-1].append((message[1], message[2].strip()))
    return (group[0] for group in reversed(groups) if group)
