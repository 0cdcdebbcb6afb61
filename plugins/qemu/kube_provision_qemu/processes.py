"""Starting processes that outlive the run, and ending them for certain."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kube_provision_core import TargetError

from . import files

START_TIMEOUT = 60.0
"""Seconds until a process that was started serves; on an idle machine it takes a tenth of one, on a busy one many."""

KILL_TIMEOUT = 5.0
"""Seconds until a process that was sent a signal is gone."""

POLL = 0.05

_FIRST_PROCESS = 2
"""The kernel says 0 of a process that this PID namespace does not have; a signal to 0 is one to our whole process group."""

_BACKGROUND = '"$@" </dev/null >>"$0" 2>&1 &'
"""A shell in between, so that the process is nobody's child and never a zombie of a long run. Its log is $0."""

_ENVIRONMENT = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
"""What a process is given of our environment, in which users keep secrets."""


def start(command: Sequence[str], folder: Path, *, log: str, pid_file: str, serves: Callable[[], bool]) -> None:
    """Run the command in the background, in `folder`, and return when `serves` says that it does.

    Raises `TargetError`, with nothing left running, when it ends before that (in its last words) or does not serve in time.
    """
    alive, inherited = os.pipe()
    try:
        try:
            _launch(command, folder, log, inherited)
        finally:
            os.close(inherited)
        _wait_serving(alive, folder / log, Path(command[0]).name, serves)
    except BaseException:
        kill(folder / pid_file)
        raise
    finally:
        os.close(alive)


def _wait_serving(alive: int, log: Path, program: str, serves: Callable[[], bool]) -> None:
    """`alive`: the reading end of a pipe that ends with the process."""
    deadline = time.monotonic() + START_TIMEOUT
    while not serves():
        if select.select([alive], [], [], POLL)[0]:
            raise TargetError(f"{program} ended at once: {last_line(log)}")
        if time.monotonic() > deadline:
            raise TargetError(f"{program} does not serve after {START_TIMEOUT:.0f} s: see {log}")


def _launch(command: Sequence[str], folder: Path, log: str, inherited: int) -> None:
    subprocess.run(
        ["/bin/sh", "-c", _BACKGROUND, log, *command],
        cwd=folder,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        pass_fds=(inherited,),
        start_new_session=True,
        umask=0o077,
        check=True,
        timeout=START_TIMEOUT,
    )


def last_line(log: Path) -> str:
    """Why a process ended, in its own words."""
    lines = [line.strip() for line in files.read_tail(log, 4096).splitlines() if line.strip()]
    return lines[-1] if lines else f"without a word (see {log})"


def wait_gone(pid_file: Path, timeout: float) -> bool:
    """Whether the process that locks the pid file is gone within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while files.holder(pid_file) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def kill(pid_file: Path) -> None:
    """End whoever locks the pid file, gently and then not. Raises `TargetError` if it stays."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        pid = files.holder(pid_file)
        if pid is None:
            return
        if pid < _FIRST_PROCESS:
            raise TargetError(
                f"{pid_file}: the process that locks it is in another PID namespace, such as a container's, and cannot be "
                "ended from here: run the command where it was started"
            )
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if wait_gone(pid_file, KILL_TIMEOUT):
            return
    raise TargetError(f"process {files.holder(pid_file)} ({pid_file}) does not end, even when killed")
