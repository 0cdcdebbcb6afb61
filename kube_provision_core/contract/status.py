"""What a node says of itself. Anybody may have written it: it is parsed with care and believed in nothing that matters."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from .boot import Stage


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a node's runner last published about itself. A target reads it with `NodeStatus.parse`."""

    stage: Stage
    state: str
    """`running`, `done` or `failed`. A node that has failed tries again by itself after a minute."""
    error: str = ""
    """The last thing that went wrong, in the step's own words; also while it is tried again."""
    step: str = ""
    """`plugin/name` of the step that runs or has failed."""
    attempt: int = 0
    """Which attempt at the step this is; 0 where there is no step."""
    attempts: int = 0
    diagnosis: str = ""
    """A word for programs: `repository-unreachable`, `wrong-clock`, … Empty where the cause was not recognised."""
    cause: str = ""
    """What a person understands by it."""
    advice: str = ""
    replace: bool = False
    """No further attempt helps: only a new machine in its place does."""
    log: tuple[str, ...] = ()
    """The last lines that the step has said; no secrets."""
    doing: str = ""
    """What the step does or waits for just now, in its own words: `waits for m-prod-1 to initialise the cluster`."""

    task: str = ""
    """What it says of a task that it was given, as JSON with a code that the core checks; of no use to others."""

    @property
    def text(self) -> str:
        """One line of JSON, as `parse` reads it."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def parse(cls, text: str | None) -> NodeStatus | None:
        """The status that a node has published; None for anything else. A machine may write anything there.

        Keys that this version does not know are ignored; what is longer than a node makes it is cut.
        """
        try:
            said = json.loads(text or "")
            stage, state = Stage(said["stage"]), said["state"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        if state not in ("running", "done", "failed") or not isinstance(said.get("error", ""), str):
            return None
        words = {name: _text(said.get(name)) for name in ("error", "step", "diagnosis", "cause", "advice", "doing")}
        lines = said.get("log")
        return cls(
            stage,
            state,
            **words,
            attempt=_count(said.get("attempt")),
            attempts=_count(said.get("attempts")),
            replace=said.get("replace") is True,
            log=tuple(map(_text, lines[-_MOST_LINES:])) if isinstance(lines, list) else (),
            task=_text(_compact(said.get("task")), _LONGEST_TASK),
        )

    @property
    def finished(self) -> bool:
        return self.stage is Stage.FINISH and self.state == "done"

    @property
    def reason(self) -> str:
        """Why it is not further: the cause where it was recognised, else the error."""
        return self.cause or self.error

    @property
    def progress(self) -> str:
        """Where it stands, in a line: `install debian/packages, attempt 2 of 5: the package repository …`, or
        `join: waits for m-prod-1 to initialise the cluster`."""
        place = f"{self.stage}: {self.doing}" if self.doing else " ".join(filter(None, [self.stage.value, self.step]))
        again = f", attempt {self.attempt} of {self.attempts}" if self.attempt > 1 else ""
        return f"{place}{again}{f': {self.reason}' if self.reason else ''}"


_LONGEST_TEXT = 2048
_LONGEST_TASK = 64 * 1024
"""An answer may bring a result: as much as the target's road carries."""


_MOST_LINES = 50


def _text(value: object, longest: int = _LONGEST_TEXT) -> str:
    return value[:longest] if isinstance(value, str) else ""


def _compact(value: object) -> object:
    """An object as its text, always the same for the same one."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")) if isinstance(value, dict) else value


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < 10**6 else 0
