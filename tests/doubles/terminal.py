"""The program at a terminal of its own, and somebody who types there."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

SITE = Path(__file__).parents[1] / "unit/cli/site"
"""With a target in memory."""
CTRL_C = "^C"
_PATIENCE = 60
"""Seconds for what the program says next."""


def typed(*arguments: str, answers: Sequence[tuple[str, str]], **variables: str) -> tuple[int, str]:
    """Exit code, and what stands on the terminal. `answers`: what is asked, and what is typed then."""
    ours, theirs = os.openpty()
    program = Path(sys.executable).with_name("kube-provision")
    environment = {**os.environ, "PYTHONPATH": f"{SITE}:{SITE.parents[2]}", "COLUMNS": "200", **variables}
    with subprocess.Popen(
        [program, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            seen = _play(process, ours, answers)
            return process.wait(_PATIENCE), seen
        finally:
            process.kill()
            os.close(ours)


def _play(process: subprocess.Popen[bytes], ours: int, answers: Sequence[tuple[str, str]]) -> str:
    seen = b""
    for question, answer in answers:
        start = len(seen)
        while question.encode() not in seen[start:]:
            assert select.select([ours], [], [], _PATIENCE)[0], f"nobody asks {question!r}: {seen.decode()}"
            try:
                seen += os.read(ours, 4096)
            except OSError as ended:
                raise AssertionError(f"it ends, and does not ask {question!r}: {seen.decode()}") from ended
        if answer == CTRL_C:
            _interrupt(process)
        else:
            os.write(ours, f"{answer}\n".encode())
    with suppress(OSError):  # so Linux says that nobody writes any more
        while select.select([ours], [], [], _PATIENCE)[0] and (said := os.read(ours, 4096)):
            seen += said
    return seen.decode()


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """Until it ends: one that has asked, and does not read yet, hears of it with the next key only."""
    for _ in range(_PATIENCE):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
            return
