"""What a user says, as data: what a verb needs, how it plans, what it writes down. `verbs.run` brings any of them about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from .wish import Wish

if TYPE_CHECKING:
    from ..cluster.desired import Desired
    from .facts import Facts
    from .plan import Plan
    from .report import Report
    from .session import Session


@dataclass(frozen=True)
class Options(Wish):
    """And how to go about it."""

    finish_timeout: float | None = None
    """Seconds that one machine may take for its boot, or for baking itself; None takes the verb's, or the target's own."""
    parallel: int | None = None
    """Machines worked on at once; None takes the target's own default."""

    @property
    def wish(self) -> Wish:
        return Wish(**{it.name: getattr(self, it.name) for it in fields(Wish)})


def _as_it_is(facts: Facts, options: Options, report: Report) -> Report:
    return report


def _nothing(session: Session, facts: Facts) -> None:
    pass


@dataclass(frozen=True)
class Verb:
    """One thing that a user may want done."""

    name: str
    needs: tuple[str, ...]
    """Hooks that the target must answer; looked for before anything else."""
    plan: Callable[[Desired, Facts, Options], Plan]
    """Changes nothing, and asks for no more facts than it needs. Raises what keeps the verb from being done."""
    report: Callable[[Facts, Options, Report], Report] = _as_it_is
    """Adds to what came of a run what is known at its end."""
    begin: Callable[[Session, Facts], None] = _nothing
    """Writes down what has to be before the first action."""
    renders: bool = True
    """It may make machines or templates, which boot data is rendered for."""
    of_cluster: bool = True
    """It is about a cluster: its machines are looked at, under the lock that discovery keeps. Else about templates."""
    recorded: bool = True
    """It changes something, of which the cluster's history tells; else it only asks."""
    finish_timeout: float | None = None
    """Seconds that one machine may take unless the user says otherwise; None takes the target's own."""
