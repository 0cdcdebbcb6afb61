"""Kills the program in the middle of a run of a lab's operator, as a power cut does.

kill_at(lab, "m-prod-2 (destroy|mint) done", "replace", "m-prod-2", "--yes")
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from typing import Any

from machines.lab import Lab, until
from servers.provisioned_consul import ask

LOCK_LIMIT = 90.0
"""Seconds after which Consul has freed the lock of a run that was killed."""
MOMENT_LIMIT = 900.0


def kill_at(lab: Lab, moment: str, *arguments: str) -> None:
    """Begin a run and kill it as soon as it tells of that moment, a pattern; then wait until its lock has ended.

    A run that was killed before may have come further than it told, so the next one begins later: a pattern names that, too.
    """
    kill_when(lab, lambda: bool(re.search(moment, _log(lab))), *arguments)


def kill_when(lab: Lab, moment: Callable[[], bool], *arguments: str) -> None:
    """Begin a run and kill it as soon as that has come true; then wait until its lock has ended."""
    with (lab.folder / "killed.log").open("w") as log:
        run = subprocess.Popen(
            lab.command(*arguments), env=lab.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            until(lambda: run.poll() is not None or moment(), MOMENT_LIMIT, "its moment has come")
        finally:
            run.kill()
            run.wait(60)
    assert run.returncode == -signal.SIGKILL, _log(lab)
    runs = f"/v1/kv/kube-provision-runs/{lab.name}"
    until(lambda: ask_consul(lab, runs) == [], LOCK_LIMIT, "the lock of its run has ended")


def _log(lab: Lab) -> str:
    return (lab.folder / "killed.log").read_text()


def ask_consul(lab: Lab, path: str) -> list[dict[str, Any]]:
    """As the operator; empty where nobody answers."""
    return list(ask(lab.secrets, lab.discovery.address, "GET", path) or [])
