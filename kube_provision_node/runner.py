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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable

from . import process, scrub
from .diagnosis import diagnose
from .evidence import Diagnosis, Evidence, Probes
from .exclusion import alone
from .failure import Failure, Memory
from .journal import log_to_journal
from .probes import Probes as RealProbes
from .publishing import Publisher, Status
from .redaction import Redaction
from .settings import Places, read_document

log = logging.getLogger(__name__)

STAGES = ("prepare", "install", "discover", "join", "finish")

_LONGEST_PAUSE = 60.0
_FIRST_PAUSE = 5.0


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


@dataclass
class Pulse:
    """Tells what a step says while it runs, whenever that has changed."""

    tell: Callable[[process.Tail], None]
    said: process.Tail = field(default_factory=process.Tail)
    told: tuple[str, ...] = ()

    def beat(self) -> None:
        if self.said.lines != self.told:
            self.told = self.said.lines
            self.tell(self.said)


@dataclass(frozen=True)
class Runner:
    places: Places
    publisher: Callable[[Status], None]
    probes: Probes
    sleep: Callable[[float], None] = time.sleep
    known: dict[str, Any] = field(default_factory=dict)
    """node.json; empty where it cannot be read."""
    task: Path | None = None
    """Where what this machine was given to do is kept; None: it boots."""

    @property
    def memory(self) -> Memory:
        return Memory((self.task or self.places.volatile) / "failure.json")

    def run(self) -> int:
        """Do what is left of the boot; the exit code."""
        return self.finish() if self.walk(self.read_steps()) else 1

    def walk(self, steps: list[Step]) -> bool:
        """Do those that are left, stage by stage; whether all are done."""
        for stage in STAGES:
            left = [step for step in steps if step.stage == stage and not self.marker(step).exists()]
            if not all(self.perform(step) for step in left):
                return False
        return True

    def perform(self, step: Step) -> bool:
        """Try a step until it succeeds, its attempts are used up, or it is hopeless; whether it is done."""
        failure = self.memory.recall(step.title)
        for attempt in range(1, step.attempts + 1):
            self.tell(step, attempt, failure)
            if attempt > 1:
                self.sleep(pause_before(attempt))
            log.info("%s: %s, attempt %d of %d", step.stage, step.title, attempt, step.attempts)
            failure = self.try_once(step, attempt, failure)
            if failure is None:
                self.mark_done(step)
                self.memory.forget()
                return True
            self.memory.keep(step.title, failure)
            if failure.is_final or attempt == step.attempts:
                self.tell(step, attempt, failure, "failed")
                return False
            log.warning("%s", failure.error)
        return False

    def try_once(self, step: Step, attempt: int, before: Failure | None) -> Failure | None:
        """One attempt. `before` is what came of the last one, and is told until this one knows better."""
        pulse = Pulse(lambda said: self.tell_meanwhile(step, attempt, before, said))
        command = ["bash", "-euo", "pipefail", str(self.on_node(step.path))]
        try:
            outcome = process.run(command, timeout=step.timeout, said=pulse.said, tick=pulse.beat)
        except OSError as problem:
            return Failure(f"{step.title}: {problem}")
        if outcome.ok:
            return None
        said = pulse.said.lines
        return Failure(f"{step.title}: {outcome.failure}", said, self.diagnose(self.evidence(step, said)))

    def evidence(self, step: Step, said: tuple[str, ...]) -> Evidence:
        return Evidence(
            step.stage,
            said,
            pin=self.known.get("ca_pin") or "",
            proxy_port=self.known.get("proxy_port", Evidence.proxy_port),
            discovery_address=self.known.get("discovery_address") or "",
        )

    def diagnose(self, evidence: Evidence) -> Diagnosis | None:
        """A diagnosis that fails stops no boot: steps print anything, and what runs goes on."""
        try:
            return diagnose(evidence, self.probes)
        except Exception:  # a bug of ours, in what only helps people
            log.exception("no diagnosis")
            return None

    def finish(self) -> int:
        try:
            scrub.scrub(self.places.root)
        except (OSError, scrub.UnfinishedError) as problem:
            self.publish(Status("finish", "failed", str(problem)))
            return 1
        self.publish(Status("finish", "done"))
        return 0

    # --- telling ---------------------------------------------------------------------------------------------------

    def tell(self, step: Step, attempt: int, failure: Failure | None, state: str = "running") -> None:
        """Where this node stands, and what has gone wrong last."""
        self.publish(status_of(step, attempt, failure, state))

    def tell_meanwhile(self, step: Step, attempt: int, before: Failure | None, said: process.Tail) -> None:
        """What a step says that takes its time, and what it waits for where that has a name. The journal has it already."""
        lines = said.lines
        diagnosis = self.diagnose(self.evidence(step, lines).present)
        failure = before or Failure("")
        known = replace(failure, said=lines, diagnosis=diagnosis or failure.diagnosis)
        doing = "" if diagnosis else said.doing  # its cause says it better
        self.publisher(replace(status_of(step, attempt, known, "running"), doing=doing))

    def publish(self, status: Status) -> None:
        (log.error if status.state == "failed" else log.info)("%s: %s %s", status.stage, status.state, status.error)
        if status.diagnosis:
            log.warning("cause: %s. What to do: %s", status.diagnosis.cause, status.diagnosis.advice)
        self.publisher(status)

    # --- steps -----------------------------------------------------------------------------------------------------

    def read_steps(self) -> list[Step]:
        return [Step(**entry) for entry in json.loads((self.places.config / "steps.json").read_text())]

    def marker(self, step: Step) -> Path:
        """Named after the script's content: a step that has changed is another step."""
        digest = hashlib.sha256(self.on_node(step.path).read_bytes()).hexdigest()[:16]
        return (self.task or self.places.state) / "done" / f"{step.stage}-{step.plugin}-{step.name}-{digest}"

    def mark_done(self, step: Step) -> None:
        marker = self.marker(step)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()

    def on_node(self, path: str) -> Path:
        return self.places.root / path.lstrip("/")


def status_of(step: Step, attempt: int, failure: Failure | None, state: str) -> Status:
    status = Status(step.stage, state, step=step.title, attempt=attempt, attempts=step.attempts)
    return replace(status, error=failure.error, diagnosis=failure.diagnosis, log=failure.said) if failure else status


def pause_before(attempt: int) -> float:
    """Seconds before an attempt: doubling up to a cap, and never the same on all nodes."""
    return min(_FIRST_PAUSE * 2.0 ** (attempt - 2), _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def run(root: Path = Path("/"), *, sleep: Callable[[float], None] = time.sleep, probes: Probes | None = None) -> int:
    """Walk the node at `root` through what is left of its boot; the exit code.

    Raises `OSError`, `ValueError` or `TypeError` for a steps.json that is missing or is none.
    """
    places = Places(root)
    publisher = Publisher(places.programs / "publish", Redaction(places.config), places.state)
    return Runner(places, publisher.publish, probes or real_probes(places), sleep, known(places)).run()


def real_probes(places: Places) -> Probes:
    return RealProbes(join=places.config / "kubeadm-join.yaml")


def known(places: Places) -> dict[str, Any]:
    """Without node.json steps still run, and a diagnosis knows a little less."""
    try:
        return read_document(places)
    except (OSError, ValueError) as problem:
        log.warning("%s", problem)
        return {}


def main() -> int:
    log_to_journal()
    # Without a handler the signal would leave the running step behind, which is in a process group of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with alone(Places()):
        return run()


if __name__ == "__main__":
    sys.exit(main())
