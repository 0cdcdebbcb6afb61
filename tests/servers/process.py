"""A child process that a test starts and ends: bounded, by its own id, with its output at hand when it fails."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")


class ServerProcess:
    """A server in the background. It dies with the thread that started it, its output goes to `log`."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*DIES_WITH_PARENT, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(os.environ if env is None else env),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until(self, ready: Callable[[], bool], timeout: float = 120.0) -> None:
        """Wait for `ready`. Raises `RuntimeError` with the end of the log if the process ends or time is up."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.process.args!r} is not ready:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def stop(self, grace: float = 5.0) -> None:
        """Ask it to end, then end it. Idempotent."""
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would. Idempotent."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)
