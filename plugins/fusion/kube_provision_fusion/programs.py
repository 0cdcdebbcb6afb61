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


def run(command: Sequence[str | os.PathLike[str]], limit: float, what: str, *, holding: Sequence[int] = ()) -> Outcome:
    """Run the command for at most `limit` seconds, in a session of its own: Ctrl-C here never reaches a machine.

    Output goes to a file and not to a pipe: a machine that the program starts inherits it and would keep a pipe open.
    Raises `TimeLimitError`, and `TargetError` when the program cannot be started. `what` is being done, for the message.
    `holding`: descriptors of locks that hold until the program ends, whatever becomes of us.
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
                pass_fds=holding,
            )
        except OSError as problem:
            raise TargetError(f"{command[0]}: cannot be run: {problem.strerror or problem}") from problem
        code = _wait(process, limit, what)
        output.seek(0)
        return Outcome(code, output.read(_OUTPUT_LIMIT).decode("utf-8", errors="replace"))


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
    if late.is_set():
        raise TimeLimitError(f"{what}: no answer within {limit:g} s; it was given up")
    return code


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group: what the program has started would go on without it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
