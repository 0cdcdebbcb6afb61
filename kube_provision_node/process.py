"""Running another program within a time limit, and keeping the last that it said."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Callable

from .last_error import last_error

_GRACE = 5.0
"""Seconds between asking a program to end and killing it."""
_TICK = 15.0
_TAIL_LINES = 60
"""As many as kubeadm needs to name every image that it could not pull."""
_LONGEST_LINE = 4096
_PRIORITY = re.compile(r"^<\d>")
"""What a program of ours says to the journal begins with it; see `journal`."""
_NOW = "now: "
"""Begins a line in which a program says what it does, or waits for, from now on: `now: joins the cluster`."""


class Tail:
    """The last lines that a program has said, blank ones left out. May be read while they are still coming."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_TAIL_LINES)
        self.doing = ""
        """What the program does now, in its own words; remembered also when its line is no longer among the last."""

    def add(self, line: str) -> None:
        text = _PRIORITY.sub("", line)
        if text.startswith(_NOW):
            self.doing = text.removeprefix(_NOW).strip()
        if text.strip():
            self._lines.append(text)

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self._lines.copy())


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    code: int
    timed_out_after: float | None
    """The limit, in seconds, of a program that did not end within it."""
    tail: tuple[str, ...]
    """The last lines of its stderr, blank ones left out."""

    @property
    def ok(self) -> bool:
        return self.code == 0 and self.timed_out_after is None

    @property
    def failure(self) -> str:
        """How it failed, and what it said of that: `exit code 1: no such file`."""
        how = f"exit code {self.code}" if self.timed_out_after is None else f"not done after {self.timed_out_after:.0f} s"
        error = last_error(self.tail)
        return f"{how}{f': {error}' if error else ''}"


def run(
    command: Sequence[str],
    *,
    timeout: float,
    stdin: str = "",
    own_group: bool = True,
    said: Tail | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run `command` in `/` for at most `timeout` seconds. Its output also goes where ours goes, and to `said`.

    `tick` is called every few seconds meanwhile. With `own_group` the limit ends everything that the program started;
    without, the program stays in the caller's group, so that whoever ends the caller ends it too. Raises `OSError` when the
    program cannot be started.
    """
    errors, said = Tail(), said or Tail()
    process = None
    try:
        with _termination_put_off():
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=own_group,
                cwd="/",  # ours is where this package lies
            )
        readers = _relaying(process, said, errors)
        _feed(process, stdin)
        code, timed_out_after = _wait(process, timeout, tick), None
        if code is None:
            code, timed_out_after = _end(process, own_group), timeout
        elif code:
            _signal(process, signal.SIGKILL, own_group)  # what it has left behind must not meet the next attempt
    except BaseException:
        if process:
            _end(process, own_group)
        raise
    deadline = time.monotonic() + _GRACE  # a daemon that inherited them keeps the streams open for ever
    for reader in readers:
        reader.join(max(0.0, deadline - time.monotonic()))
    return Outcome(code, timed_out_after, errors.lines)


@contextlib.contextmanager
def _termination_put_off() -> Iterator[None]:
    """A program that starts while we are told to end must be known before we do: nobody else would end it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread alone
        return
    told: list[int] = []
    handler = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
    if told:
        signal.raise_signal(signal.SIGTERM)


def _relaying(process: subprocess.Popen[bytes], said: Tail, errors: Tail) -> list[threading.Thread]:
    """Threads that pass on what the program says."""
    readers = [
        threading.Thread(target=_relay, args=arguments, daemon=True)
        for arguments in ((process.stdout, sys.stdout, (said,)), (process.stderr, sys.stderr, (said, errors)))
    ]
    for reader in readers:
        reader.start()
    return readers


def _wait(process: subprocess.Popen[bytes], timeout: float, tick: Callable[[], None]) -> int | None:
    """The exit code; None at the end of the limit."""
    deadline = time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        try:
            return process.wait(max(0.0, min(left, _TICK)))
        except subprocess.TimeoutExpired:
            if left <= _TICK:
                return None
        tick()


def _feed(process: subprocess.Popen[bytes], text: str) -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(text.encode())


def _relay(stream: IO[bytes] | None, target: IO[str], tails: Sequence[Tail]) -> None:
    if stream is None:
        return
    with stream:
        for raw in iter(lambda: stream.readline(_LONGEST_LINE), b""):
            line = raw.decode(errors="replace").rstrip()
            for tail in tails:
                tail.add(line)
            target.write(f"{line}\n")
            target.flush()


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
