"""Running another program within a time limit, and keeping the last that it said on stderr."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

_GRACE = 5.0
"""Seconds between asking a program to end and killing it."""
_TAIL_LINES = 20


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    code: int
    timed_out: bool
    tail: tuple[str, ...]
    """The last lines of its stderr, blank ones left out."""

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.timed_out


def run(command: Sequence[str], *, timeout: float, stdin: str = "", own_group: bool = True) -> Outcome:
    """Run `command` for at most `timeout` seconds. Its output also goes where ours goes.

    With `own_group` the limit ends everything that the program started; without, the program stays in the caller's group, so
    that whoever ends the caller ends it too. Raises `OSError` when the program cannot be started.
    """
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=own_group,
    )
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    reader = threading.Thread(target=_relay, args=(process.stderr, tail), daemon=True)
    reader.start()
    try:
        _feed(process, stdin)
        code, timed_out = process.wait(timeout), False
        if code:
            _signal(process, signal.SIGKILL, own_group)  # what it has left behind must not meet the next attempt
    except subprocess.TimeoutExpired:
        code, timed_out = _end(process, own_group), True
    except BaseException:
        _end(process, own_group)
        raise
    reader.join(_GRACE)  # a daemon that inherited stderr keeps it open for ever
    return Outcome(code, timed_out, tuple(tail))


def _feed(process: subprocess.Popen[bytes], text: str) -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(text.encode())


def _relay(stream: IO[bytes] | None, tail: deque[str]) -> None:
    if stream is None:
        return
    with stream:
        for raw in stream:
            line = raw.decode(errors="replace").rstrip()
            if line:
                tail.append(line)
            print(line, file=sys.stderr, flush=True)


def _end(process: subprocess.Popen[bytes], own_group: bool) -> int:
    _signal(process, signal.SIGTERM, own_group)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    _signal(process, signal.SIGKILL, own_group)
    return process.wait(_GRACE)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals, own_group: bool) -> None:
    """The group outlives its leader: what the leader left behind is ended as well."""
    with contextlib.suppress(ProcessLookupError):
        if own_group:
            os.killpg(process.pid, number)
        elif process.poll() is None:
            process.send_signal(number)
