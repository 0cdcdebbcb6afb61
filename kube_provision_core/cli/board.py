"""What the live view shows: where every machine of a run stands, and which of them fit on the screen."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..engine.executor import Event
    from ..engine.plan import Action


class Standing(StrEnum):
    """How a subject stands, the most interesting first."""

    FAILED = "failed"
    RUNNING = "running"
    ABANDONED = "abandoned"
    SKIPPED = "skipped"
    WAITING = "waiting"
    DONE = "done"


_FINAL = frozenset({Standing.FAILED, Standing.ABANDONED, Standing.SKIPPED})
"""What a later event of the same subject does not hide: what waits for a failure is skipped."""


@dataclass(frozen=True)
class Row:
    subject: str
    standing: Standing = Standing.WAITING
    verb: str = ""
    text: str = ""
    since: float = 0.0
    """When its present action began, in seconds of a steady clock."""


class Board:
    """One row per subject of the plan, in the plan's order. May be used from any thread."""

    def __init__(self, actions: Sequence[Action]) -> None:
        self._lock = threading.Lock()
        self._left = Counter(action.subject for action in actions)
        self._rows = {subject: Row(subject) for subject in self._left}

    def take(self, event: Event, now: float) -> None:
        with self._lock:
            subject = event.action.subject
            row = self._rows.get(subject, Row(subject))
            if event.state != "running":
                self._left[subject] -= 1
            if row.standing not in _FINAL:
                self._rows[subject] = self._next(row, event, now)

    def _next(self, row: Row, event: Event, now: float) -> Row:
        verb = event.action.verb
        if event.state == "running":
            goes_on = row.standing is Standing.RUNNING and row.verb == verb
            return Row(row.subject, Standing.RUNNING, verb, event.text, row.since if goes_on else now)
        if event.state == "done":
            standing = Standing.WAITING if self._left[row.subject] > 0 else Standing.DONE
            return replace(row, standing=standing, verb=verb, text=event.text or row.text)
        return replace(row, standing=Standing(event.state.value), verb=verb, text=event.text)

    def counts(self) -> dict[Standing, int]:
        """How many subjects stand how; without those that nobody stands at."""
        with self._lock:
            found = Counter(row.standing for row in self._rows.values())
        return {standing: found[standing] for standing in Standing if found[standing]}

    def rows(self, limit: int, height: Callable[[Row], int] = lambda _: 1) -> tuple[Row, ...]:
        """The most interesting rows, in the plan's order; together they take at most `limit` lines. `height`: of one row."""
        with self._lock:
            rows = list(self._rows.values())
        ranks = list(Standing)
        by_interest = sorted(range(len(rows)), key=lambda place: ranks.index(rows[place].standing))
        lines = accumulate(height(rows[place]) for place in by_interest)
        chosen = [place for place, line in zip(by_interest, lines, strict=True) if line <= limit]
        return tuple(rows[place] for place in sorted(chosen))
