"""What a node tells of itself through its hypervisor: one small JSON document, in which no secret stands.

The other side reads it as `NodeStatus.parse`; keys are only ever added, and those that say nothing are left out.
"""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from . import process
from .evidence import Diagnosis
from .kept_files import replace_file

log = logging.getLogger(__name__)

LARGEST = 3500
"""Bytes of a document: a hypervisor's channel is narrow, and some count what a line becomes when it is quoted."""
LONGEST_ERROR = 800
"""kubeadm wraps an error in many words, and the last of them say what it is."""
_LONGEST_ADVICE = 300
_LONGEST_LINE = 200
_MOST_LINES = 15
_LIMIT = 15.0
_BOOT, _ANSWER = "boot.json", "answer.json"


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
    doing: str = ""
    """What the step does or waits for just now, in its own words."""
    diagnosis: Diagnosis | None = None
    log: tuple[str, ...] = ()

    def document(self, redact: Callable[[str], str]) -> str:
        lines = [cut(redact(line), _LONGEST_LINE) for line in self.log[-_MOST_LINES:]]
        return _with_log(self.known(redact), lines)

    def known(self, redact: Callable[[str], str], longest_error: int = LONGEST_ERROR) -> dict[str, Any]:
        """All but its log."""
        known: dict[str, Any] = {
            "stage": self.stage,
            "state": self.state,
            "error": cut(redact(self.error), longest_error),
        }
        doing = cut(redact(self.doing), _LONGEST_LINE)
        known.update(_said({"step": self.step, "attempt": self.attempt, "attempts": self.attempts, "doing": doing}))
        if self.diagnosis:
            cause, advice = redact(self.diagnosis.cause), self.diagnosis.advice
            texts = {"cause": cut(cause, _LONGEST_ADVICE), "advice": cut(advice, _LONGEST_ADVICE)}
            known.update(_said({"diagnosis": self.diagnosis.name, **texts, "replace": self.diagnosis.replace}))
        return known


@dataclass
class Publisher:
    """Hands documents to the target's program, which takes them to the hypervisor.

    A hypervisor keeps one document, and two speak of this machine: its boot, and what it was given to do since. Each says
    its own part; that of the other is kept, so that neither is lost by the other's word.
    """

    program: Path
    redact: Callable[[str], str]
    kept: Path
    """A folder that nobody but root reads."""

    def publish(self, status: Status) -> None:
        """How far the boot has come."""
        boot = json.loads(status.document(self.redact))
        self._keep(_BOOT, boot)
        self._tell(boot, _recall(self.kept / _ANSWER))

    def answer(self, answer: dict[str, Any]) -> None:
        """What comes of a task. Told beside the boot, which is never silent before."""
        self._keep(_ANSWER, answer)
        self._tell(_recall(self.kept / _BOOT), answer)

    def _keep(self, name: str, document: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # a full disk is just what has to be told
            replace_file(self.kept / name, json.dumps(document))

    def _tell(self, boot: dict[str, Any], answer: dict[str, Any]) -> None:
        """A publisher that fails, hangs or is missing never stops what is told of."""
        lines = boot.pop("log", [])
        document = _with_log({**boot, "task": answer} if answer else boot, lines)
        try:
            outcome = process.run([str(self.program)], timeout=_LIMIT, stdin=document)
        except OSError as problem:
            log.warning("the stage could not be published: %s", problem)
            return
        if not outcome.ok:
            log.warning("the stage could not be published: %s", outcome.failure)


def _recall(path: Path) -> dict[str, Any]:
    """The JSON object that is kept there; an empty one where there is none."""
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(path.read_text())
        return kept if isinstance(kept, dict) else {}
    return {}


def cut(text: str, length: int) -> str:
    """Its beginning, at most so many bytes as JSON writes it: for some letters it takes twelve."""
    beginning = text[:length]
    while len(json.dumps(beginning)) - len('""') > length:
        beginning = beginning[: -max(1, len(beginning) // 20)]
    return text if beginning == text else f"{beginning[:-1]}…"


def _said(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def _with_log(known: dict[str, Any], lines: list[str]) -> str:
    """As many of the last lines as there is room for."""
    while True:
        text = json.dumps({**known, "log": lines} if lines else known)
        if len(text) <= LARGEST or not lines:
            return text
        lines = lines[1:]
