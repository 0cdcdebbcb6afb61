"""How a single machine leaves a cluster that goes on, or only its pods leave it: what several verbs have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..cluster import Living
from ..cluster.cordon import Purpose
from ..cluster.observe import Observation
from ..contract.machines import Power
from ..engine.nodes import CordonNode, DeleteNode, DrainNode, RemoveMember
from ..engine.plan import Action, DestroyVm, keys
from ..engine.wish import Draining


def can_be_emptied(seen: Observation, living: Living, name: str, going: Collection[str]) -> bool:
    """Whether its machine runs, the cluster hears from it, and nodes remain that are not `going` and take its pods."""
    vm, node = seen.ours.get(name), living.node(name)
    runs = vm is not None and vm.power is Power.ON and node is not None and node.reachable
    return runs and any(it.reachable and it.schedulable for it in living.nodes if it.name not in going)


def emptied(
    seen: Observation, living: Living, name: str, draining: Draining | None, purpose: Purpose, after: frozenset[str]
) -> Iterator[CordonNode | DrainNode]:
    """What has its pods leave a node; nothing where they are not to, or could go nowhere. `after`: as below."""
    if draining and can_be_emptied(seen, living, name, going=[name]):
        cordon = CordonNode(name=name, purpose=purpose, reason=f"it is about to be {purpose}", after=after)
        yield cordon
        yield DrainNode(name=name, reason="its pods move elsewhere", draining=draining, after=keys([cordon]))


def taken_away(seen: Observation, living: Living, name: str, reason: str, after: frozenset[str]) -> list[Action]:
    """What takes it out of etcd, off the target, and out of the cluster, in this order; nothing that is done already.

    Etcd lets go of a master before its machine goes, and says whether it may. The cluster forgets a node afterwards: pods of
    a machine that still runs would be started a second time. `after`: what has to be done before.
    """
    steps: list[Action] = []
    if living.member(name):
        steps.append(RemoveMember(name=name, reason="its machine is about to go", after=after))
    if name in seen.ours:
        steps.append(DestroyVm(vm=seen.ours[name], reason=reason, after=keys(steps[-1:]) or after))
    if living.node(name):
        steps.append(DeleteNode(name=name, reason="its machine is gone", after=keys(steps[-1:]) or after))
    return steps
