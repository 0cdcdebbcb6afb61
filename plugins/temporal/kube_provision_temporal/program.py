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

_STOPS = ((signal.SIGINT, PATIENCE), (signal.SIGINT, 15.0), (signal.SIGKILL, 15.0))
"""What is sent, and seconds until the next: what runs on the target ends; it is left to itself; the process is ended."""

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

    def take(self, line: str) -> None:
        if not line.startswith("{"):
            self.told.append(line)
            return
        event = json.loads(line)
        if "error" in event:
            self.retryable = event["retryable"]
            return
        key = f"{event['action']} {event['subject']}"
        self.running.pop(key, None)
        match event["state"]:
            case "running":
                self.running[key] = None
            case "done":
                self.done += 1
            case "failed":
                self.failed += 1
        self.heard(Progress(self.done, self.failed, list(self.running)[:_SHOWN]))


async def run(words: Sequence[str], folder: Path, heard: Callable[[Progress], None]) -> Ended:
    """Run it in `folder` to its end. `heard` is told whatever progress the program tells.

    Cancelled, it stops the program, waits for that, two and a half minutes at most, and returns what came of it: the run may
    have ended well by then. Whoever was cancelled has to look. Cancelling it again changes nothing.
    """
    following = _Following(heard)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"{__package__}.leash", *words),
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
            await asyncio.shield(end)
        except asyncio.CancelledError:
            stop = stop or asyncio.create_task(_stop(process))
    return end.result()


async def _end(process: Process, following: _Following) -> Ended:
    assert process.stdout
    output, _ = await asyncio.gather(process.stdout.read(), _follow(process, following))
    return Ended(await process.wait(), output.decode(errors="replace"), tuple(following.told), following.retryable)


async def _follow(process: Process, following: _Following) -> None:
    assert process.stderr
    async for line in process.stderr:
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
