"""Runs `kube-provision` in a process of its own, tells how far it is, and stops it as Ctrl-C does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .leash import PATIENCE
from .values import Progress

BAD_INPUT, TROUBLE, UNWRITTEN, INTERRUPTED = 2, 3, 74, 130
"""Exit codes of `kube-provision`, and ours."""

_STOPS = ((signal.SIGINT, PATIENCE), (signal.SIGINT, 15.0), (signal.SIGKILL, 15.0))
"""What is sent, and seconds until the next: what runs on the target ends; it is left to itself; the process is ended."""

_PROGRAM = (sys.executable, "-m", f"{__package__}.leash")

_TOLD = 200
"""Lines of stderr that are kept."""
_SHOWN = 10
_LONGEST_LINE = 16 * 1024 * 1024
"""Bytes; progress has one for a machine's whole error."""


@dataclass(frozen=True)
class Ended:
    """What a command line came to."""

    code: int
    """As a shell has it; negative: the signal that ended it."""
    output: str
    told: tuple[str, ...]
    """The end of stderr, without progress."""
    retryable: bool = False
    """An error has ended it before there was a report, and said that the same may succeed another time."""
    begun: bool = False
    """It has told of an action."""

    @property
    def problems(self) -> list[str]:
        """What the program tells its user that went wrong, a line each."""
        marked = [line.removeprefix("kube-provision: ") for line in self.told if line.startswith("kube-provision: ")]
        return [line for line in marked if not line.startswith(("note: ", "warning: "))]


@dataclass
class _Following:
    """What stderr tells."""

    heard: Callable[[Progress], None]
    told: deque[str] = field(default_factory=lambda: deque(maxlen=_TOLD))
    running: dict[str, None] = field(default_factory=dict)
    done: int = 0
    failed: int = 0
    retryable: bool = False
    begun: bool = False

    def take(self, line: str) -> None:
        match _event(line):
            case {"error": str(), "retryable": bool(retryable)}:
                self.retryable = retryable
            case {"action": str(action), "subject": str(subject), "state": str(state)}:
                self._note(f"{action} {subject}", state)
            case _:
                self.told.append(line)

    def _note(self, key: str, state: str) -> None:
        self.running.pop(key, None)
        match state:
            case "running":
                self.running[key] = None
            case "done":
                self.done += 1
            case "failed":
                self.failed += 1
        self.begun = self.begun or state in ("running", "done", "failed")
        self.heard(Progress(self.done, self.failed, list(self.running)[:_SHOWN]))


def _event(line: str) -> object:
    """What the program tells programs in a line; whatever else starts like it is no JSON, or has none of its keys."""
    with suppress(ValueError, RecursionError):
        return json.loads(line) if line.startswith("{") else None
    return None


async def run(
    words: Sequence[str], folder: Path, heard: Callable[[Progress], None], program: Sequence[str] = _PROGRAM
) -> Ended:
    """Run it in `folder` to its end. `heard` is told whatever progress the program tells.

    Cancelled, it stops the program, waits for that, two and a half minutes at most, and returns what came of it: the run may
    have ended well by then. Whoever was cancelled has to look. Cancelling it again changes nothing. What
    cannot be followed is stopped as well, before that is raised.
    """
    following = _Following(heard)
    process = await asyncio.create_subprocess_exec(
        *program,
        *words,
        cwd=folder,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        limit=_LONGEST_LINE,
        start_new_session=True,  # a Ctrl-C at the worker's terminal is the worker's
    )
    end = asyncio.create_task(_end(process, following))
    stop: asyncio.Task[None] | None = None
    while not end.done():
        try:
            await asyncio.wait([end])
        except asyncio.CancelledError:
            stop = stop or asyncio.create_task(_stop(process))
    if end.exception() and process.returncode is None:
        await (stop or _stop(process))
    return end.result()


async def _end(process: Process, following: _Following) -> Ended:
    assert process.stdout
    output, _ = await asyncio.gather(process.stdout.read(), _follow(process, following))
    code, told = await process.wait(), tuple(following.told)
    return Ended(code, output.decode(errors="replace"), told, following.retryable, following.begun)


async def _follow(process: Process, following: _Following) -> None:
    assert process.stderr
    while True:
        try:
            line = await process.stderr.readline()
        except ValueError:  # it is longer than any of the program's own, and was dropped as far as it was read
            continue
        if not line:
            return
        following.take(line.decode(errors="replace").rstrip())


async def _stop(process: Process) -> None:
    for number, patience in _STOPS:
        with suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(process.pid, number)  # with all that it has started, which holds its streams
            else:
                process.send_signal(number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)
            return
