"""Places a run's moments on an axis of time: numbers and words for the page, and nothing that looks like one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...engine.executor import State
from .timeline import Kind, Piece, Span

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Seconds from one mark of the axis to the next."""
_MARKS = 8
_NARROWEST = 0.35
"""Percent of the axis that a bar has at least: what took no time is seen all the same."""
_LETTER, _MARGIN = 1.05, 1.9
"""Percent that a bar has at least for each letter of its name, and beside it, to bear it where the page is narrow."""
_MARKED = {"+": "make", "-": "remove", "~": "change", "=": "change", ".": "wait"}
_WORST = (State.FAILED, State.ABANDONED, State.RUNNING, State.SKIPPED)


@dataclass(frozen=True)
class Bar:
    """A piece on the axis; `x` and `width` in percent of it."""

    x: float
    width: float
    look: str
    label: str
    tip: str


@dataclass(frozen=True)
class Moment:
    """The same as a line to read."""

    at: str
    lasted: str
    what: str
    look: str
    text: str


@dataclass(frozen=True)
class Lane:
    """One machine, or the cluster as a whole."""

    name: str
    state: str
    bars: tuple[Bar, ...]
    ends: tuple[float, ...]
    """Where something failed, in percent."""
    moments: tuple[Moment, ...]
    problems: tuple[str, ...]
    took: str


@dataclass(frozen=True)
class Mark:
    x: float
    label: str


class Chart:
    def __init__(self, began: float, ended: float) -> None:
        """From when to when, in seconds of the clock that the spans have."""
        self._began = began
        self._length = max(ended - began, 0.001)
        self._ended = began + self._length

    @property
    def marks(self) -> tuple[Mark, ...]:
        step = next((step for step in _STEPS if self._length / step <= _MARKS), _STEPS[-1])
        return tuple(Mark(self._x(self._began + at), clock(at)) for at in range(0, int(self._length) + 1, step))

    def lane(self, name: str, spans: Sequence[Span]) -> Lane:
        spans = sorted(spans, key=lambda span: self._ended if span.begun is None else span.begun)
        begun = [span for span in spans if span.begun is not None]
        return Lane(
            name,
            _state(spans),
            tuple(self._bar(span, *piece) for span in begun for piece in self._pieces(span)),
            tuple(self._x(self._end(span)) for span in begun if span.state is State.FAILED),
            tuple(moment for span in spans for moment in self._moments(span)),
            tuple(f"{span.action.verb}: {span.text}" for span in spans if span.state is State.FAILED),
            duration(sum(self._end(span) - (span.begun or 0.0) for span in begun)) if begun else "",
        )

    def _x(self, at: float) -> float:
        return round(100 * min(max(at - self._began, 0.0), self._length) / self._length, 3)

    def _end(self, span: Span) -> float:
        return self._ended if span.ended is None else span.ended

    def _pieces(self, span: Span) -> Iterator[tuple[Piece, float]]:
        """Each with when it ended."""
        last = Piece(self._end(span), Kind.WORK, "")
        yield from ((piece, after.since) for piece, after in pairwise((*span.pieces, last)))

    def _bar(self, span: Span, piece: Piece, until: float) -> Bar:
        x, width = self._x(piece.since), self._x(until) - self._x(piece.since)
        width = max(round(width, 3), _NARROWEST)
        what = _name(span, piece)
        label = piece.stage or span.action.verb
        label = label if width >= len(label) * _LETTER + _MARGIN else ""
        tip = f"{what}, {clock(piece.since - self._began)}, {duration(until - piece.since)}"
        return Bar(min(x, 100 - width), width, _look(span, piece), label, f"{tip}: {piece.text}" if piece.text else tip)

    def _moments(self, span: Span) -> Iterator[Moment]:
        for piece, until in self._pieces(span) if span.begun is not None else ():
            look = _look(span, piece)
            yield Moment(
                clock(piece.since - self._began), duration(until - piece.since), _name(span, piece), look, piece.text
            )
        text = span.text if span.state is not State.RUNNING else "had not ended when the run did"
        at = clock(span.ended - self._began) if span.ended is not None else ""
        state = span.state.value if span.state else "not begun"
        yield Moment(at, "", f"{span.action.verb} {state}", state.replace(" ", "-"), text if span.state else "")


def _name(span: Span, piece: Piece) -> str:
    return f"{span.action.verb} · {piece.stage}" if piece.stage else span.action.verb


def _look(span: Span, piece: Piece) -> str:
    if piece.kind is not Kind.WORK:
        return piece.kind.value
    return piece.stage or _MARKED[span.action.mark]


def _state(spans: Sequence[Span]) -> str:
    states = {span.state for span in spans}
    worst = next((state for state in _WORST if state in states), None)
    if worst is None:
        return "not begun" if None in states else "done"
    return "abandoned" if worst is State.RUNNING else worst.value


def counts(lanes: Sequence[Lane]) -> Mapping[str, int]:
    """How many ended how, the worst first."""
    order = ("failed", "abandoned", "skipped", "not begun", "done")
    found = {state: sum(lane.state == state for lane in lanes) for state in order}
    return {state: count for state, count in found.items() if count}


def clock(seconds: float) -> str:
    """A place on the axis."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
