"""What a node tells of itself through its hypervisor: one small JSON document, in which no secret stands.

The other side reads it as `NodeStatus.parse`; keys are only ever added, and those that say nothing are left out.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import process
from evidence import Diagnosis

log = logging.getLogger(__name__)

LARGEST = 3500
"""Bytes of a document: a hypervisor's channel is narrow, and some count what a line becomes when it is quoted."""
_LONGEST_ERROR = 300
_LONGEST_LINE = 200
_MOST_LINES = 15
_LIMIT = 15.0


@dataclass(frozen=True)
class Status:
    """How far a node has come. `running`, `done` or `failed`."""

    stage: str
    state: str
    error: str = ""
    """The last thing that went wrong, also while it is tried again."""
    step: str = ""
    attempt: int = 0
    """The one that runs or is about to; 0 where there is no step."""
    attempts: int = 0
    diagnosis: Diagnosis | None = None
    log: tuple[str, ...] = ()

    def document(self, silence: Callable[[str], str]) -> str:
        known: dict[str, Any] = {
            "stage": self.stage,
            "state": self.state,
            "error": cut(silence(self.error), _LONGEST_ERROR),
        }
        known.update(_said({"step": self.step, "attempt": self.attempt, "attempts": self.attempts}))
        if self.diagnosis:
            cause, advice = silence(self.diagnosis.cause), self.diagnosis.advice
            texts = {"cause": cut(cause, _LONGEST_ERROR), "advice": cut(advice, _LONGEST_ERROR)}
            known.update(_said({"diagnosis": self.diagnosis.name, **texts, "replace": self.diagnosis.replace}))
        return _with_log(known, [cut(silence(line), _LONGEST_LINE) for line in self.log[-_MOST_LINES:]])


@dataclass
class Publisher:
    """Hands documents to the target's program, which takes them to the hypervisor."""

    program: Path
    silence: Callable[[str], str]

    def publish(self, status: Status) -> None:
        """A publisher that fails, hangs or is missing never stops the boot."""
        try:
            outcome = process.run([str(self.program)], timeout=_LIMIT, stdin=status.document(self.silence))
        except OSError as problem:
            log.warning("the stage could not be published: %s", problem)
            return
        if not outcome.ok:
            log.warning("the stage could not be published: exit code %d%s", outcome.code, last_line(outcome.tail, ": "))


def cut(text: str, length: int) -> str:
    """Its beginning, at most so many bytes as JSON writes it: for some letters it takes twelve."""
    beginning = text[:length]
    while len(json.dumps(beginning)) - len('""') > length:
        beginning = beginning[: -max(1, len(beginning) // 20)]
    return text if beginning == text else f"{beginning[:-1]}…"


def last_line(lines: Sequence[str], before: str) -> str:
    return before + lines[-1] if lines else ""


def _said(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def _with_log(known: dict[str, Any], lines: list[str]) -> str:
    """As many of the last lines as there is room for."""
    while True:
        text = json.dumps({**known, "log": lines} if lines else known)
        if len(text) <= LARGEST or not lines:
            return text
        lines = lines[1:]
