"""One program, run within a time limit and ended for certain."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from kube_provision_core import TargetError

from .noise import without_noise

_ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR")
"""What a program is given of our environment, in which users keep secrets."""

_UMASK = 0o022
"""A narrower one keeps VMware's own services from starting a machine without a window."""

_OUTPUT_LIMIT = 1024 * 1024


class TimeLimitError(TargetError):
    """A program did not end in time, and was killed."""


@dataclass(frozen=True)
class Outcome:
    code: int
    text: str
    """What it wrote to its standard output, where values and vmrun's errors stand, without what libraries wrote there."""
    warnings: str
    """The same of standard error: a program that cannot even begin says so there."""

    @property
    def last_words(self) -> str:
        """Why it failed, where it does not say so itself."""
        lines = [line.strip() for line in (self.text or self.warnings).splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.code}"


def run(command: Sequence[str | os.PathLike[str]], limit: float, what: str, *, holding: Sequence[int] = ()) -> Outcome:
    """Run the command for at most `limit` seconds, in a session of its own: Ctrl-C here never reaches a machine.

    Output goes to files and not to pipes: a machine that the program starts inherits them and would keep a pipe open.
    Raises `TimeLimitError`, and `TargetError` when the program cannot be started. `what` is being done, for the message.
    `holding`: descriptors of locks that hold until the program ends, whatever becomes of us.
    """
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as warnings:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=warnings,
                env=environment,
                start_new_session=True,
                umask=_UMASK,
                pass_fds=holding,
            )
        except OSError as problem:
            raise TargetError(f"{command[0]}: cannot be run: {problem.strerror or problem}") from problem
        return Outcome(_wait(process, limit, what), _read(output), _read(warnings))


def _read(written: IO[bytes]) -> str:
    written.seek(0)
    return without_noise(written.read(_OUTPUT_LIMIT).decode("utf-8", errors="replace"))


def _wait(process: subprocess.Popen[bytes], limit: float, what: str) -> int:
    """A timer watches the limit: `Popen.wait` with one would look twenty times a second, and calls are short."""
    late = threading.Event()

    def give_up() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(limit, give_up)
    timer.start()
    try:
        code = process.wait()
    except BaseException:
        _kill(process)
        process.wait()
        raise
    finally:
        timer.cancel()
        timer.join()
    if late.is_set():
        raise TimeLimitError(f"{what}: no answer within {limit:g} s; it was given up")
    return code


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group: what the program has started would go on without it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
