"""A run as a client sees it, and as people read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .plans import printable
from .policy import RolloutState
from .values import Progress, State

NEEDS_A_LOOK = "needs a look"

_SHOWN = 40
"""Actions of a plan, and clusters of a roll-out."""


@dataclass(frozen=True)
class Look:
    """A run as a client sees it: what it is at, or how it ended."""

    name: str
    state: State | None = None
    progress: Progress | None = None
    rollout: RolloutState | None = None
    asks: dict[str, str] = field(default_factory=dict)
    """Clusters of a roll-out that wait for approval, with their plans' digests."""
    ended: str = ""
    """`done`, `left to another run`, `needs a look`, `failed`, `cancelled` or `terminated`; empty while it is under way."""
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
    if look.rollout:
        yield from _rollout(look.rollout, "" if look.ended else f"{look.name}: ")
    yield from (f"  approve it: kube-provision-temporal approve {name} {digest[:12]}" for name, digest in look.asks.items())


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


def _rollout(state: RolloutState, name: str) -> Iterator[str]:
    counts = f"{len(state.done)} done, {len(state.failed)} failed, {len(state.left)} not begun"
    until = f" until {state.until}" if state.until else ""
    yield f"{name or '  '}wave {state.wave} of {state.waves}: {state.phase}{until}: {counts}"
    yield from _named("at work", state.running)
    yield from _named("something else is at work on", state.busy)
    yield from _named("nodes were left to another run in", state.unfinished)
    yield from _named("not begun", state.left)
    yield from (f"  failed: {cluster}: {why}" for cluster, why in list(state.failed.items())[:_SHOWN])


def _named(what: str, clusters: list[str]) -> Iterator[str]:
    if clusters:
        more = f" and {len(clusters) - _SHOWN} more" if len(clusters) > _SHOWN else ""
        yield f"  {what}: {', '.join(clusters[:_SHOWN])}{more}"
