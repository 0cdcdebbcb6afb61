"""How a verb gives machines something to do: what it plans for it, and of which machines it cannot be asked."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ..cluster.advice import Remedies
from ..cluster.observe import Observation
from ..contract.errors import ConfigError
from ..contract.machines import Node, Power
from ..engine.plan import Action, AwaitTask, ClearTask, GiveTask, keys

if TYPE_CHECKING:
    from ..boot.tasks import Task


DEAF = "the machine was made by an earlier version and can be given no task"

AT_ONCE = 120.0
"""Seconds in which a machine is to take what somebody waits for. One that boots, or is at something that lasts, does not,
and is told as that; others look every ten seconds."""


def given(
    node: Node, task: Task, reason: str, after: frozenset[str] = frozenset(), patience: float | None = None
) -> tuple[Action, ...]:
    """Give it, await its end, and leave nothing of it on the target. What has to follow it waits for the second of them.

    `patience`: seconds in which the machine is to take it; None: as long as whatever else it is at may last."""
    give = GiveTask(node=node, task=task, reason=reason, after=after)
    wait = AwaitTask(node=node, task=task, reason=reason, after=keys([give]), patience=patience)
    clear = ClearTask(node=node, what=task.verb, reason="nothing of it is to stay", after=keys([give, wait]))
    return give, wait, clear


def left_over(nodes: Collection[Node], seen: Observation) -> tuple[ClearTask, ...]:
    """For tasks that wait still: a run that gave them was broken off."""
    waiting = [node for node in nodes if (vm := seen.ours.get(node.name)) and vm.task]
    return tuple(ClearTask(node=node, reason="a run that was broken off has left it") for node in waiting)


def silence(name: str, seen: Observation) -> str:
    """Why a machine of the cluster cannot be asked anything; empty where it can."""
    vm = seen.ours[name]
    if vm.power is not Power.ON:
        return f"the machine is {vm.power.value}"
    return DEAF if vm.stamp and not vm.stamp.instance else ""


def refuse_deaf(nodes: Collection[Node], seen: Observation, remedies: Remedies) -> None:
    """Raise `ConfigError` for machines that cannot be given anything: an earlier version made them."""
    vms = [seen.ours[node.name] for node in nodes if node.name in seen.ours]
    deaf = [vm.name for vm in vms if vm.stamp and not vm.stamp.instance]
    if deaf:
        raise ConfigError(
            *(
                f"{name} was made by an earlier version and can be given no task. Make it anew: {remedies.replace(name)}"
                for name in deaf
            )
        )
