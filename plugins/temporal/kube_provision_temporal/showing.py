"""A run as a client sees it, and as people read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .plans import printable
from .values import Progress, State

_SHOWN = 40
"""Actions of a plan."""


@dataclass(frozen=True)
class Look:
    """A run as a client sees it: what it is at, or how it ended."""

    name: str
    state: State | None = None
    progress: Progress | None = None
    ended: str = ""
    """`done`, `left to another run`, `failed`, `cancelled` or `terminated`; empty while it is under way."""
    told: list[str] = field(default_factory=list)
    """What came of it, a line each."""


def text(look: Look) -> str:
    """Whoever may write into the namespace cannot steer the terminal of who reads it."""
    return "\n".join(map(printable, _lines(look)))


def _lines(look: Look) -> Iterator[str]:
    if look.ended:
        yield f"{look.name}: {look.ended}"
        yield from (f"  {line}" for line in look.told)
    if look.state:
        yield from _state(look.name, look.state, look.progress)


def _state(name: str, state: State, progress: Progress | None) -> Iterator[str]:
    verb = " ".join([state.work.verb, *state.work.options])
    yield f"{name}: {verb}: {state.phase}, attempt {state.attempt} of {state.work.attempts}"
    if progress:
        running = f"; {', '.join(progress.running)}" if progress.running else ""
        yield f"  {progress.done} done, {progress.failed} failed{running}"
    yield from (f"  last failure: {line}" for line in state.trouble)
    yield from (f"  note: {line}" for line in state.notes)
    if state.digest:
        yield f"  plan {state.digest[:12]}, {len(state.actions)} changes:"
    yield from (f"    {it.mark} {it.action} {it.subject}  {it.reason}".rstrip() for it in state.actions[:_SHOWN])
    if len(state.actions) > _SHOWN:
        yield f"    and {len(state.actions) - _SHOWN} more: --output json shows all"
    if state.asks:
        yield f"  approve it: kube-provision-temporal approve {name} {state.digest[:12]}"
