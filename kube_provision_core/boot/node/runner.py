"""Walks a node through the stages of its boot, and tells the hypervisor how far it has come.

A step that is done leaves a marker named after its content, so that a runner that was killed, or a node that was rebooted,
goes on where it was. A step that fails is tried again, with growing pauses, until its attempts are used up: then the node
publishes `failed` and the runner exits with 1, and systemd starts it again after a pause, so that a cause that goes away
(a mirror, a discovery service, a master) heals the node without anybody. On later boots there is nothing left to do but to
scrub and to publish `done` again, since a power cycle may make the hypervisor forget it.

Its unit must not keep cloud-init from finishing, for which the scrubbing waits: `After=cloud-final.service` and wanted by
`cloud-init.target`, since on some systems cloud-final itself comes after multi-user.target.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import process
import scrub
from journal import log_to_journal
from settings import Places

log = logging.getLogger(__name__)

STAGES = ("prepare", "install", "discover", "join", "finish")

_PUBLISH_LIMIT = 15.0
_LONGEST_PAUSE = 60.0
_FIRST_PAUSE = 5.0
_ERROR_LENGTH = 300
"""Characters of an error that are published: a hypervisor's channel is narrow."""


@dataclass(frozen=True)
class Step:
    """One script, as steps.json lists it."""

    stage: str
    plugin: str
    name: str
    path: str
    timeout: float
    attempts: int

    @property
    def title(self) -> str:
        return f"{self.plugin}/{self.name}"


@dataclass(frozen=True)
class Runner:
    places: Places
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> int:
        """Do what is left to do; the exit code."""
        steps = self.read_steps()
        for stage in STAGES:
            left = [step for step in steps if step.stage == stage and not self.marker(step).exists()]
            if left and not self.walk(stage, left):
                return 1
        return self.finish()

    def walk(self, stage: str, steps: list[Step]) -> bool:
        self.publish(stage, "running")
        for step in steps:
            error = self.perform(step)
            if error:
                self.publish(stage, "failed", error)
                return False
            self.mark_done(step)
        return True

    def perform(self, step: Step) -> str:
        """Try a step until it succeeds or its attempts are used up; the last error."""
        error = ""
        for attempt in range(1, step.attempts + 1):
            if error:
                self.publish(step.stage, "running", f"{error} (attempt {attempt - 1} of {step.attempts})")
                self.sleep(pause_before(attempt))
            log.info("%s: %s, attempt %d of %d", step.stage, step.title, attempt, step.attempts)
            error = self.try_once(step)
            if not error:
                return ""
            log.warning("%s", error)
        return error

    def try_once(self, step: Step) -> str:
        script = self.on_node(step.path)
        try:
            outcome = process.run(["bash", "-euo", "pipefail", str(script)], timeout=step.timeout)
        except OSError as problem:
            return f"{step.title}: {problem}"
        if outcome.ok:
            return ""
        if outcome.timed_out:
            return f"{step.title}: not done after {step.timeout:.0f} s{last_line(outcome, ': ')}"
        return f"{step.title}: exit code {outcome.code}{last_line(outcome, ': ')}"

    def finish(self) -> int:
        try:
            scrub.scrub(self.places.root)
        except (OSError, scrub.UnfinishedError) as problem:
            self.publish("finish", "failed", str(problem))
            return 1
        self.publish("finish", "done")
        return 0

    def publish(self, stage: str, state: str, error: str = "") -> None:
        """Tell the hypervisor. A publisher that fails, hangs or is missing never stops the boot."""
        (log.error if state == "failed" else log.info)("%s: %s %s", stage, state, error)
        status = json.dumps({"stage": stage, "state": state, "error": error[:_ERROR_LENGTH]})
        try:
            outcome = process.run([str(self.places.programs / "publish")], timeout=_PUBLISH_LIMIT, stdin=status)
        except OSError as problem:
            log.warning("the stage could not be published: %s", problem)
            return
        if not outcome.ok:
            log.warning("the stage could not be published: exit code %d%s", outcome.code, last_line(outcome, ": "))

    def read_steps(self) -> list[Step]:
        return [Step(**entry) for entry in json.loads((self.places.config / "steps.json").read_text())]

    def marker(self, step: Step) -> Path:
        """Named after the script's content: a step that has changed is another step."""
        digest = hashlib.sha256(self.on_node(step.path).read_bytes()).hexdigest()[:16]
        return self.places.state / "done" / f"{step.stage}-{step.plugin}-{step.name}-{digest}"

    def mark_done(self, step: Step) -> None:
        marker = self.marker(step)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()

    def on_node(self, path: str) -> Path:
        return self.places.root / path.lstrip("/")


def pause_before(attempt: int) -> float:
    """Seconds before an attempt: doubling up to a cap, and never the same on all nodes."""
    return min(_FIRST_PAUSE * 2.0 ** (attempt - 2), _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def last_line(outcome: process.Outcome, before: str) -> str:
    return before + outcome.tail[-1] if outcome.tail else ""


def run(root: Path = Path("/"), *, sleep: Callable[[float], None] = time.sleep) -> int:
    """Walk the node at `root` through what is left of its boot; the exit code.

    Raises `OSError`, `ValueError` or `TypeError` for a steps.json that is missing or is none.
    """
    return Runner(Places(root), sleep).run()


def main() -> int:
    log_to_journal()
    # Without a handler the signal would leave the running step behind, which is in a process group of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return run()


if __name__ == "__main__":
    sys.exit(main())
