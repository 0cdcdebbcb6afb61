"""How nodes take turns: masters one by one, then workers, a few at a time. What `replace` and `upgrade` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from ..contract.errors import ConfigError
from ..contract.machines import Node, Role
from ..engine.executor import State
from ..engine.facts import Facts
from ..engine.nodes import DrainNode, Pause
from ..engine.plan import Action, CreateVm, Plan, keys
from ..engine.report import Report
from ..engine.verb import Options
from ..engine.wish import Rolling
from . import ending

Turn = Callable[[Node, frozenset[str]], Iterable[Action]]
"""All that is done about a node, once these are done; with its last action the turn ends."""


def turns(
    nodes: Iterable[Node], rolling: Rolling, workers: int, turn: Turn, begin: frozenset[str] = frozenset()
) -> Iterator[Action]:
    """Of the nodes, masters before workers. `workers`: how many there are, for shares of them all. `begin`: what has to be
    done before the first turn."""
    ends: dict[Role, list[frozenset[str]]] = {Role.MASTER: [], Role.WORKER: []}
    for node in nodes:
        width = 1 if node.role is Role.MASTER else rolling.width(workers)
        earlier = ends[node.role.kind]
        after = earlier[-width] if len(earlier) >= width else next(iter(ends[Role.MASTER][-1:]), begin)
        seconds = rolling.pause if after != begin else 0.0
        if seconds or rolling.until:
            pause = Pause(name=node.name, seconds=seconds, until=rolling.until, after=after)
            yield pause
            after = keys([pause])
        steps = list(turn(node, after))
        yield from steps
        earlier.append(keys(steps[-1:]))


def drained(plan: Plan, facts: Facts) -> Plan:
    """The plan, if all that it drains can be. Raises `ConfigError` with what can never leave its node, or would be lost."""
    drains = [action for action in plan.actions if isinstance(action, DrainNode)]
    coming = [action.node.name for action in plan.actions if isinstance(action, CreateVm)]
    if objections := facts.objections_to(drains, coming=coming):
        raise ConfigError(*objections)
    return plan


def tell(facts: Facts, options: Options, report: Report) -> Report:
    """As runs of all verbs do, with those whose turn would have begun too late."""
    outcomes = report.outcomes
    went_well = not report.interrupted and all(outcome.state is not State.FAILED for outcome in outcomes)
    waiting = [it.action.subject for it in outcomes if isinstance(it.action, Pause) and it.state is State.SKIPPED]
    return replace(ending.tell(facts, options, report), postponed=tuple(waiting) if went_well else ())
