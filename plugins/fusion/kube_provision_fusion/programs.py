"""One program, run within a time limit and ended for certain."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from kube_provision_core import TargetError

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
    """What it wrote, errors included."""


def run(command: Sequence[str | os.PathLike[str]], limit: float, what: str) -> Outcome:
    """Run the command for at most `limit` seconds, in a session of its own: Ctrl-C here never reaches a machine.

    Output goes to a file and not to a pipe: a machine that the program starts inherits it and would keep a pipe open.
    Raises `TimeLimitError`, and `TargetError` when the program cannot be started. `what` is being done, for the message.
    """
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                umask=_UMASK,
            )
        except OSError as problem:
            raise TargetError(f"{command[0]}: cannot be run: {problem.strerror or problem}") from problem
        code = _wait(process, limit, what)
        output.seek(0)
        return Outcome(code, output.read(_OUTPUT_LIMIT).decode("utf-8", errors="replace"))


def _wait(process: subprocess.Popen[bytes], limit: float, what: str) -> int:
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired as problem:
        _kill(process)
        raise TimeLimitError(f"{what}: no answer within {limit:g} s; it was given up") from problem
    except BaseException:
        _kill(process)
        raise


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group: what the program has started would go on without it."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
