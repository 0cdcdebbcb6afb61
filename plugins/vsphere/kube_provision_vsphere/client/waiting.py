"""Waiting for many objects at once: all threads that wait share one look at the server.

The looks are plain reads of leaf properties, not vCenter's own long wait: that one hangs on filters that are made call by
call and die with the session, and helpers built upon it fail on some servers. A look costs one call however many wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Condition, Event
from time import monotonic
from typing import Any, Generic, TypeVar

from kube_provision_core import TargetError

from .read import Select, retrieve
from .session import Session

T = TypeVar("T")

SHORTEST, LONGEST = 0.05, 2.0
"""Seconds between two looks."""

AGAIN = 0.15
"""Of the time waited so far: when to look again at what takes longer than expected."""

LATE = 0.5
"""Of the time that something takes: how long a look at it may be put off until it is worth it for more of those who wait."""

CROWD = 4
"""A look is worth it when one in so many may be over. Those whom one look ends begin their next things together, and so the
looks that are needed become few."""

AT_ONCE = 0.0

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Seen(Generic[T]):
    """What a look showed: the end of a wait, or what to look at next."""

    result: T | None = None
    then: Awaited[T] | None = None


@dataclass(frozen=True)
class Awaited(Generic[T]):
    """One object that somebody waits for."""

    kind: str
    id: str
    judge: Callable[[Values | None, float], Seen[T] | None]
    """Given its properties by path (None: it no longer exists) and the seconds waited; None means not yet. It may raise
    `TargetError`, which ends the wait."""
    expected: float = 0.0
    """Seconds that it takes at least, as far as known: looking earlier is not worth a call."""


@dataclass(eq=False)
class _Wait(Generic[T]):
    awaited: Awaited[T]
    since: float
    due: float
    """When it may be over, on the monotonic clock."""
    late: float
    """When a look at it is not put off any longer."""
    wake: Event = field(default_factory=Event)
    """Set when it is over, or when its thread is the one that looks."""
    seen: Seen[T] | None = None
    error: TargetError | None = None

    @property
    def over(self) -> bool:
        return self.seen is not None or self.error is not None


class Waiting:
    """Shared waits. Thread-safe. One of the waiting threads looks for all; there is no thread besides."""

    def __init__(self, session: Session, paths: Mapping[str, Sequence[str]]) -> None:
        """`paths` are the properties to read, by type, of what may be awaited."""
        self._session, self._paths = session, paths
        self._changed = Condition()
        """Guards what follows; wakes the thread that looks."""
        self._waits: list[_Wait[Any]] = []
        self._leader: _Wait[Any] | None = None
        self._last_look = 0.0
        self._closed: TargetError | None = None

    def wait(self, awaited: Awaited[T]) -> T | None:
        """What its judge finds at the end. Raises `TargetError`: the judge's, or what keeps everybody from looking."""
        now = monotonic()
        due = now + awaited.expected
        mine: _Wait[T] = _Wait(awaited, since=now, due=due, late=due + _bounded(LATE * awaited.expected))
        try:
            self._join(mine)
            while not mine.over:
                if self._leader is mine:
                    self._look()
                else:
                    mine.wake.wait(LONGEST)
        finally:
            self._leave(mine)
        if mine.error:
            raise mine.error
        return mine.seen.result if mine.seen else None

    def close(self) -> None:
        """End all waits: the run is over. What was awaited goes on at the server."""
        with self._changed:
            self._closed = TargetError("the run ended while vCenter was still at work; the next run finds what came of it")
            self._fail(self._closed)
            self._changed.notify()

    def _join(self, mine: _Wait[Any]) -> None:
        with self._changed:
            if self._closed:
                raise self._closed
            self._waits.append(mine)
            self._leader = self._leader or mine
            self._changed.notify()

    def _leave(self, mine: _Wait[Any]) -> None:
        """Hand on the lead, also when this thread ends unexpectedly."""
        with self._changed:
            if mine in self._waits:
                self._waits.remove(mine)
            if self._leader is mine:
                self._leader = self._waits[0] if self._waits else None
                if self._leader:
                    self._leader.wake.set()

    def _look(self) -> None:
        """Sleep until a look is worth it, look, judge for all."""
        waits = self._sleep()
        try:
            found = self._read(waits)
        except TargetError as error:
            with self._changed:
                self._fail(error)
            return
        with self._changed:
            self._last_look = monotonic()
            for wait in waits:
                self._judge(wait, found.get(wait.awaited.id))

    def _sleep(self) -> list[_Wait[Any]]:
        with self._changed:
            while self._waits and (pause := self._pause()) > 0:
                self._changed.wait(pause)
            return list(self._waits)

    def _pause(self) -> float:
        dues = sorted(wait.due for wait in self._waits)
        if dues[0] == AT_ONCE:
            return 0.0
        crowded = dues[(len(dues) - 1) // CROWD]
        late = min(wait.late for wait in self._waits)
        return max(min(crowded, late), self._last_look + SHORTEST) - monotonic()

    def _read(self, waits: Sequence[_Wait[Any]]) -> dict[str, Values]:
        objects = dict.fromkeys((wait.awaited.kind, wait.awaited.id) for wait in waits)
        found = retrieve(self._session, "wait for vCenter", Select(self._paths, list(objects)))
        return {one.id: one.values for one in found}

    def _judge(self, wait: _Wait[Any], values: Values | None) -> None:
        now = monotonic()
        try:
            seen = wait.awaited.judge(values, now - wait.since)
        except TargetError as error:
            self._end(wait, error=error)
            return
        if seen is None:
            waited = now - wait.since
            wait.due = max(wait.due, now + _bounded(AGAIN * waited))
            wait.late = max(wait.late, wait.due + _bounded(LATE * waited))
        elif seen.then:
            wait.awaited, wait.since, wait.due = seen.then, now, AT_ONCE
        else:
            self._end(wait, seen=seen)

    def _fail(self, error: TargetError) -> None:
        for wait in list(self._waits):
            self._end(wait, error=error)

    def _end(self, wait: _Wait[Any], *, seen: Seen[Any] | None = None, error: TargetError | None = None) -> None:
        if not wait.over:
            wait.seen, wait.error = seen, error
            self._waits.remove(wait)
            wait.wake.set()


def _bounded(pause: float) -> float:
    return min(max(pause, SHORTEST), LONGEST)
