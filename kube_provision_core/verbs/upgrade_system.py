"""The planner of `upgrade --os`: packages of the nodes' system at their newest, node by node, with reboots. Pure.

What a machine lacks only the machine itself knows: each has its turn, and is emptied for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..boot.tasks.upgrade import system
from ..cluster.cordon import Purpose
from ..cluster.desired import Desired
from ..contract.boot import Step
from ..contract.errors import ConfigError
from ..contract.machines import Node, Role
from ..engine.facts import Facts
from ..engine.nodes import AwaitReady, UncordonNode
from ..engine.ownership import check_identity
from ..engine.plan import Action, Plan, keys
from ..engine.verb import Options
from .giving import given, left_over, refuse_deaf
from .leaving import emptied
from .pools import of_pool, refuse_strange_pool
from .refusals import refuse_another_role, refuse_fewer
from .turns import drained, turns
from .upgradable import Standing, disturbances, refuse_half_way, refuse_unwell, refuse_without_quorum


def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
    """Masters one by one, then workers, a few at a time. Raises as the planner of `upgrade` does."""
    check_identity(facts)
    steps = facts.upgrade_packages()
    if not facts.initialised.value:
        raise ConfigError(f"cluster {desired.cluster.name} is not initialised, and has nothing to upgrade: provision it")
    refuse_another_role(desired, facts.seen)
    refuse_fewer(desired, facts.seen)
    living = facts.members.value
    standing = Standing(living.version, living, facts.control_planes())
    nodes = [node for node in desired.nodes if node.name in facts.seen.ours]
    refuse_strange_pool(options.pool, [node.role for node in nodes], desired.cluster.name)
    refuse_unwell(standing, facts.seen, nodes, facts.remedies)
    masters = [node for node in nodes if node.role is Role.MASTER]
    refuse_half_way(standing, masters, facts.remedies)
    upgrade = _Upgrade(facts, options, standing, nodes, steps)
    refuse_deaf(upgrade.chosen, facts.seen, facts.remedies)
    refuse_without_quorum(standing, [node for node in masters if node in upgrade.chosen])
    notes = disturbances(living, nodes, masters=options.only != Role.WORKER and not options.pool)
    return drained(Plan(tuple(upgrade.actions()), tuple(notes)), facts)


@dataclass(frozen=True)
class _Upgrade:
    facts: Facts
    options: Options
    standing: Standing
    nodes: Sequence[Node]
    """Masters before workers."""
    steps: tuple[Step, ...]
    """The driver's."""

    @property
    def chosen(self) -> list[Node]:
        return [node for node in of_pool(self.nodes, self.options.pool) if self.options.only in ("", node.role.kind)]

    def actions(self) -> Iterator[Action]:
        left = left_over(self.nodes, self.facts.seen)
        yield from left
        workers = sum(node.role.kind is Role.WORKER for node in of_pool(self.nodes, self.options.pool))
        yield from turns(self.chosen, self.options.rolling, workers, self._turn, keys(left))

    def _turn(self, node: Node, after: frozenset[str]) -> Iterator[Action]:
        seen, living, draining = self.facts.seen, self.standing.living, self.options.draining
        known = living.node(node.name)
        version = known.kubelet if known else ""
        away = list(emptied(seen, living, node.name, draining, Purpose.UPGRADED, after))
        task = given(node, system(node, version, self.steps), "its packages become the newest", keys(away[-1:]) or after)
        burn_in, reason = self.options.rolling.burn_in, "back, with all that it runs"
        ready = AwaitReady(node=node, seconds=burn_in, version=version, reason=reason, after=keys(task))
        yield from (*away, *task, ready)
        if away or self.standing.is_cordoned(node):
            yield UncordonNode(name=node.name, reason="it takes pods again", after=keys([ready]))
