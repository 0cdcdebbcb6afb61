"""What a run was, moment by moment: recorded while it goes on, from the same events that progress is shown from."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ...contract.status import NodeStatus
from ...engine.executor import State

if TYPE_CHECKING:
    from ...engine.executor import Event, Outcome
    from ...engine.plan import Action

_NUMBER = re.compile(r"\d+")
_AT_ONCE = 1.0
"""Seconds: longer than from the beginning of an action to its first words, or to the first look at it."""


class Kind(StrEnum):
    """What goes on for a while."""

    WORK = "work"
    WAIT = "wait"
    RETRY = "retry"
    """It goes on, after something has gone wrong."""
    TROUBLE = "trouble"


@dataclass
class Piece:
    """A part of an action's time in which one thing went on."""

    since: float
    kind: Kind
    text: str
    stage: str = ""
    """Of a boot; empty where it is none."""
    same: object = None
    """What is equal for as long as it is the same thing."""


@dataclass
class Span:
    """An action as it went. Times are seconds of a steady clock."""

    action: Action
    state: State | None = None
    """None: its turn has not come."""
    text: str = ""
    begun: float | None = None
    ended: float | None = None
    pieces: list[Piece] = field(default_factory=list)

    def take(self, event: Event, now: float) -> None:
        self.state, self.text = event.state, event.text
        if event.state is State.RUNNING:
            self.begun = now if self.begun is None else self.begun
            self._go_on(_piece(event, now))
        else:
            self.ended = now

    def _go_on(self, piece: Piece) -> None:
        last = self.pieces[-1] if self.pieces else None
        if last and (last.same == piece.same or _just_begun(last, piece)):
            self.pieces[-1] = replace(piece, since=last.since)
        else:
            self.pieces.append(piece)

    @property
    def settled(self) -> bool:
        return self.state not in (None, State.RUNNING)


class Timeline:
    """All actions of a run. May be told from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: dict[str, Span] = {}

    def begin(self, actions: Iterable[Action]) -> None:
        self._spans = {action.key: Span(action) for action in actions}

    def take(self, event: Event, now: float) -> None:
        with self._lock:
            span = self._spans.setdefault(event.action.key, Span(event.action))
            if not span.settled:
                span.take(event, now)

    def settle(self, outcomes: Iterable[Outcome], now: float) -> None:
        """What an interrupt has left to itself is told by its outcome alone."""
        with self._lock:
            for outcome in outcomes:
                span = self._spans.setdefault(outcome.action.key, Span(outcome.action))
                if not span.settled:
                    span.state, span.text = outcome.state, outcome.text
                    span.ended = None if span.begun is None else now

    def lanes(self) -> dict[str, list[Span]]:
        """By what they are about, in the plan's order."""
        found: dict[str, list[Span]] = {}
        with self._lock:
            for span in self._spans.values():
                found.setdefault(span.action.subject, []).append(span)
        return found


def _just_begun(last: Piece, piece: Piece) -> bool:
    """Whether what is told first is what has gone on from the beginning."""
    return not last.text and piece.since - last.since < _AT_ONCE


def _piece(event: Event, now: float) -> Piece:
    status = event.status
    if status is None:
        kind = Kind.WAIT if event.action.mark == "." else Kind.WORK
        return Piece(now, kind, event.text, same=_NUMBER.sub("0", event.text))
    same = (status.stage, status.step, status.attempt, status.doing, status.reason, status.state)
    return Piece(now, _kind(status), event.text, status.stage.value, same)


def _kind(status: NodeStatus) -> Kind:
    if status.state == "failed":
        return Kind.TROUBLE
    if status.reason or status.attempt > 1:
        return Kind.RETRY
    return Kind.WAIT if status.doing.startswith("waits") else Kind.WORK
