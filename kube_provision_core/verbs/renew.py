"""The planner of `certificates renew`: masters renew all that they show or use now, one after another. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..boot.tasks import Task, make
from ..cluster.desired import Desired
from ..contract.boot import NODE_DIR, BootFragment, Stage, Step
from ..contract.errors import ConfigError
from ..contract.machines import Node, Power
from ..engine.facts import Facts
from ..engine.ownership import check_identity
from ..engine.plan import Action, Plan, keys
from ..engine.verb import Options, Verb
from .ending import remember, tell
from .giving import given, left_over, refuse_deaf
from .refusals import refuse_strangers

SCRIPT = f"cd {NODE_DIR} && exec python3 -m kube_provision_node.certificates --now\n"
"""What its timer runs on a master by itself, but now."""

SECONDS = 100 * 60
"""For four static pods, each of which may take 20 minutes where the machine is emulated, and the cluster's lock before."""


def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
    """Every master, or those that are named. One that fails keeps the next ones from their turns.

    Raises `ConfigError` for what is no master of the cluster, for one that does not run, and for one that cannot be given
    a task.
    """
    check_identity(facts)
    chosen = _chosen(desired, facts, options)
    if not facts.initialised.value:
        raise ConfigError(f"cluster {desired.cluster.name} is not initialised, and has no certificates yet: provision it")
    off = [f"{name} does not run, and cannot renew anything: start it, or name others" for name in _off(facts, chosen)]
    if off:
        raise ConfigError(*off)
    refuse_deaf(chosen, facts.seen, facts.remedies)
    left = left_over(desired.nodes, facts.seen)
    return Plan((*left, *_turns(chosen, keys(left))))


def _chosen(desired: Desired, facts: Facts, options: Options) -> list[Node]:
    masters = {node.name: node for node in desired.masters if node.name in facts.seen.ours}
    refuse_strangers(options.nodes, masters, desired.cluster.name, "master")
    return [masters[name] for name in dict.fromkeys(options.nodes)] or list(masters.values())


def _off(facts: Facts, chosen: Sequence[Node]) -> list[str]:
    return [node.name for node in chosen if facts.seen.ours[node.name].power is not Power.ON]


def _turns(chosen: Sequence[Node], before: frozenset[str]) -> Iterator[Action]:
    for node in chosen:
        give, wait, clear = given(node, _task(node), "its certificates are renewed", before)
        yield from (give, wait, clear)
        before = keys([wait])


def _task(node: Node) -> Task:
    step = Step("renew", Stage.FINISH, SCRIPT, timeout=SECONDS, attempts=1)
    return make("renew", node, {"certificates": BootFragment(steps=(step,))})


RENEW = Verb("renew", ("list_vms", "deliver_task"), plan, report=tell, begin=remember, renders=False)
