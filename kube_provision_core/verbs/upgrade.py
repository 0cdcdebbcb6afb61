"""The planner of `upgrade`: another version of Kubernetes, node by node, while the cluster goes on. Pure.

The order is Kubernetes' own: https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-upgrade/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..boot.kubeadm_config import KUBELET_DROP_INS
from ..boot.tasks.settings import kubelet_settings
from ..boot.tasks.upgrade import control_plane, kubelet, prepare
from ..cluster.cordon import Purpose
from ..cluster.desired import Desired
from ..cluster.settings import Setting, gates
from ..cluster.skew import minor
from ..contract.components import Component
from ..contract.errors import ConfigError
from ..contract.machines import Node, Role
from ..contract.packages import Packages
from ..engine.facts import Facts, Unknown
from ..engine.nodes import AwaitAddons, AwaitReady, CordonNode, UncordonNode
from ..engine.ownership import check_identity
from ..engine.plan import Action, Plan, RestampVm, keys
from ..engine.verb import Options, Verb
from . import upgrade_system
from .changed import Changed
from .ending import remember
from .giving import given, left_over, refuse_deaf
from .leaving import emptied
from .pools import of_pool, refuse_strange_pool
from .refusals import refuse_another_role, refuse_fewer
from .turns import drained, tell, turns
from .upgradable import (
    Standing,
    disturbances,
    refuse_removed_apis,
    refuse_unwell,
    refuse_vague,
    refuse_way,
    refuse_without_backup,
    refuse_without_quorum,
    refuse_workers_first,
)

_DROP_INS = f"the key `kubelet`, and of {KUBELET_DROP_INS} on nodes that have it"
"""Where a kubelet reads what the configuration says of it; an upgrade keeps that."""


def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
    """All that can be had beforehand is fetched first; then masters one by one, then workers, a few at a time.

    What is at the version already is left out. Raises `ConfigError`, `DiscoveryError` or `ControlPlaneError` for whatever
    would keep the upgrade from its end, as far as it can be known.
    """
    if options.system:
        return upgrade_system.plan(desired, facts, options)
    check_identity(facts)
    refuse_vague(desired, facts.remedies)
    if not facts.initialised.value:
        raise ConfigError(f"cluster {desired.cluster.name} is not initialised, and has nothing to upgrade: provision it")
    refuse_another_role(desired, facts.seen)
    refuse_fewer(desired, facts.seen)
    standing = Standing(desired.cluster.kubernetes_version, facts.members.value, facts.control_planes())
    refuse_way(standing, desired.cluster.name)
    nodes = [node for node in desired.nodes if node.name in facts.seen.ours]
    refuse_strange_pool(options.pool, [node.role for node in nodes], desired.cluster.name)
    refuse_unwell(standing, facts.seen, nodes, facts.remedies)
    upgrade = _Upgrade(facts, options, standing, nodes)
    if not upgrade.chosen:
        done = f"every node that was asked for is at {standing.version}"
        return Plan(left_over(nodes, facts.seen), (done, *upgrade.changes()))
    upgrade.refuse()
    return drained(Plan(tuple(upgrade.actions()), tuple(upgrade.notes())), facts)


@dataclass(frozen=True)
class _Upgrade:
    """One of a cluster that is well."""

    facts: Facts
    options: Options
    standing: Standing
    nodes: Sequence[Node]
    """Masters before workers."""

    @property
    def all_masters(self) -> list[Node]:
        return [node for node in self.nodes if node.role is Role.MASTER]

    @cached_property
    def masters(self) -> list[Node]:
        """Those that have a turn; the one where it was broken off comes first, which may not be back yet."""
        if self._spares_masters:
            return []
        waiting = [node for node in self.all_masters if self._has_a_turn(node)]
        waiting = waiting or ([] if self.standing.arrived else self.all_masters[:1])
        return sorted(waiting, key=self._place)

    @cached_property
    def chosen(self) -> list[Node]:
        """All that have a turn, in its order."""
        return [*self.masters, *(node for node in self._workers if self._has_a_turn(node))]

    @property
    def asked(self) -> list[Node]:
        """All that would have one if there was anything to do."""
        return [*([] if self._spares_masters else self.all_masters), *self._workers]

    @cached_property
    def changed(self) -> Changed:
        return Changed(self.facts, self.nodes)

    @property
    def moving(self) -> list[Node]:
        """Those of them whose version becomes another one."""
        return [node for node in self.chosen if self._lacks(node)]

    @property
    def _workers(self) -> list[Node]:
        workers = [] if self.options.only == Role.MASTER else [node for node in self.nodes if node.role.kind is Role.WORKER]
        return list(of_pool(workers, self.options.pool))

    @property
    def _spares_masters(self) -> bool:
        return self.options.only == Role.WORKER or bool(self.options.pool)

    @property
    def applies(self) -> bool:
        """The cluster's own settings are still to be brought to the version, with a first master."""
        return not self.standing.arrived or not any(map(self.standing.is_done, self.all_masters))

    def refuse(self) -> None:
        if self._spares_masters:
            refuse_workers_first(self.standing, self.all_masters)
        refuse_deaf(self.chosen, self.facts.seen, self.facts.remedies)
        refuse_without_quorum(self.standing, self.masters)
        if self.moving:
            refuse_without_backup(self.facts, self.options)
        refuse_removed_apis(self.standing, self.facts, self.options)

    def actions(self) -> Iterator[Action]:
        workers = sum(node.role.kind is Role.WORKER for node in of_pool(self.nodes, self.options.pool))
        left = left_over(self.nodes, self.facts.seen)
        prepared = list(self._preparations(keys(left)))
        begin = keys(prepared)
        yield from (*left, *prepared)
        if not self.masters and any(map(self._is_due, self.chosen)):
            addons = self._addons(begin)
            yield addons
            begin = keys([addons])
        yield from turns(self.chosen, self.options.rolling, workers, self._turn, begin)

    def _preparations(self, after: frozenset[str]) -> Iterator[Action]:
        """The first one alone: what cannot be had there is sought nowhere else."""
        lacking = self.moving
        alone = self.facts.packages(Component.KUBEADM_ALONE, self.standing.version) if lacking else Packages(())
        for node in lacking:
            settings = self._unread if node.role is Role.MASTER else ()
            task = prepare(node, alone, self.facts.core(node.role), settings)
            steps = given(node, task, f"kubeadm and the images of {self.standing.version} come beforehand", after)
            yield from steps
            after = keys(steps) if node is lacking[0] else after

    def _turn(self, node: Node, after: frozenset[str]) -> Iterator[Action]:
        steps: list[Action] = []
        if self._lacks(node):
            steps = list(self._upgraded(node, after))
            yield from steps
        changes = self.changed.applied(node)
        if changes:
            settled = list(self._settled(node, changes, keys(steps) or after))
            yield from settled
            steps += settled
        reason = f"at {self.standing.version}, with all that it runs"
        burn_in = self.options.rolling.burn_in
        ready = AwaitReady(
            node=node, seconds=burn_in, version=self.standing.version, reason=reason, after=keys(steps) or after
        )
        yield ready
        after = keys([ready])
        if any(isinstance(step, CordonNode) for step in steps) or self.standing.is_cordoned(node):
            free = UncordonNode(name=node.name, reason="it takes pods again", after=after)
            yield free
            after = keys([free])
        if changes:
            stamp = RestampVm(node=node, changes=changes, reason="it runs with what the configuration says", after=after)
            yield stamp
            after = keys([stamp])
        if self.masters and node is self.masters[-1] and any(map(self._is_due, self.masters)):
            yield self._addons(after)

    def _settled(self, node: Node, changes: Sequence[str], after: frozenset[str]) -> Iterator[Action]:
        if not self._lacks(node):
            seen, living, draining = self.facts.seen, self.standing.living, self.options.draining
            away = [*emptied(seen, living, node.name, draining, Purpose.UPGRADED, after)]
            yield from away
            after = keys(away[-1:]) or after
        task = kubelet_settings(node, self.facts.core(node.role))
        yield from given(node, task, "; ".join(changes), after)

    def _upgraded(self, node: Node, after: frozenset[str]) -> Iterator[Action]:
        version = self.standing.version
        if node.role is Role.MASTER:
            task = control_plane(node, version, self.applies and node is self.masters[0], self.facts.core(node.role))
            steps = given(node, task, f"its control plane becomes {version}", after)
            yield from steps
            after = keys(steps)
        seen, living, draining = self.facts.seen, self.standing.living, self.options.draining
        away = [*emptied(seen, living, node.name, draining, Purpose.UPGRADED, after)]
        yield from away
        after = keys(away[-1:]) or after
        task = kubelet(node, version, self._packages, self.facts.core(node.role))
        yield from given(node, task, f"its kubelet becomes {version}", after)

    def _addons(self, after: frozenset[str]) -> AwaitAddons:
        name, version = self.facts.seen.cluster.name, self.standing.version
        return AwaitAddons(cluster=name, version=version, reason="kubeadm brings them with the last master", after=after)

    def _place(self, master: Node) -> tuple[bool, bool, int]:
        return not self.standing.has_begun(master.name), master.name in self.standing.following, master.index

    def _has_a_turn(self, node: Node) -> bool:
        return self._is_due(node) or bool(self.changed.applied(node))

    def _is_due(self, node: Node) -> bool:
        return not self.standing.is_done(node) or self.standing.is_cordoned(node)

    def _lacks(self, node: Node) -> bool:
        return not self.standing.is_done(node) or (self.applies and node is self.masters[0])

    @cached_property
    def _packages(self) -> Packages:
        return self.facts.packages(Component.KUBEADM, self.standing.version)

    @cached_property
    def _unread(self) -> tuple[Setting, ...]:
        """Settings that kubeadm cannot check beforehand, as long as they are still to be carried over."""
        if not (self.masters and self.applies):
            return ()
        roles = dict.fromkeys((Role.MASTER, Role.WORKER, *(node.role for node in self.nodes)))
        own = (gate for role in roles for gate in gates(self.facts.core(role).kubelet, _DROP_INS))
        return tuple(dict.fromkeys((*self.facts.unread_settings(), *own)))

    def changes(self) -> Iterator[str]:
        """What has changed, by keys, and what applies it."""
        yield from self.changed.notes(self.asked)
        yield from self.facts.unapplied(self.standing.living.kubeadm)

    def notes(self) -> Iterator[str]:
        living, version = self.standing.living, self.standing.version
        if self.masters and minor(living.version) != minor(version):
            yield f"{minor(version)} may bring another minor of etcd, and what that has written the one before cannot read"
        yield from self.changes()
        yield from disturbances(living, self.nodes, masters=any(node in self.moving for node in self.masters))
        if self.moving:
            yield from _unbaked(self.facts, version)


def _unbaked(facts: Facts, version: str) -> Iterator[str]:
    """Of templates whose machines would have to fetch the version when they are made."""
    for template in () if isinstance(facts.templates, Unknown) else facts.templates.value:
        holds = template.baked.versions.get("kubeadm", "") if template.baked else ""
        if holds and holds.partition("-")[0] != version:
            what = f"template {template.name} holds kubeadm {holds}"
            yield f"{what}: bake it with {version} before machines are added: {facts.remedies.bake()}"


UPGRADE = Verb("upgrade", ("list_vms", "deliver_task"), plan, report=tell, begin=remember, renders=False)
