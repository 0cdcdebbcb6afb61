"""The planner of `replace`: machines that go and are made anew, turn by turn, while the cluster goes on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ..cluster import Living
from ..cluster.cordon import Purpose
from ..cluster.desired import Desired
from ..cluster.observe import Observation
from ..cluster.skew import adopted, adoption
from ..cluster.spreading import spread
from ..contract.errors import ConfigError, UnreadyError
from ..contract.machines import Node, Role
from ..engine.facts import Facts
from ..engine.nodes import AwaitReady
from ..engine.ownership import check_identity
from ..engine.plan import (
    Action,
    ArrangeVms,
    AwaitBoot,
    CreateVm,
    MintSecrets,
    Plan,
    ScrubNode,
    keys,
    made_in,
)
from ..engine.verb import Options, Verb
from .ending import remember
from .labelling import after_boot, wished
from .leaving import emptied, taken_away
from .pools import of_pool, refuse_strange_pool
from .refusals import (
    refuse_another_discovery,
    refuse_another_role,
    refuse_blind,
    refuse_foreign,
    refuse_other_encryption,
    refuse_other_networking,
    refuse_service_elsewhere,
    refuse_unknown_minor,
    refuse_unread_files,
)
from .turns import drained, tell, turns


def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
    """Masters first, one at a time, those that are not ready before the others; then workers, a few at a time.

    A turn ends when the cluster calls the new node ready. Raises `ConfigError` for what must not be replaced, and what else
    `provision` raises before it adds machines.
    """
    check_identity(facts)
    chosen = _chosen(desired, facts, options)
    if not chosen:
        return Plan((), ("every machine is there, and was made from this configuration",))
    if not facts.initialised.value:
        raise ConfigError(
            f"cluster {desired.cluster.name} is not initialised, so that nothing can be replaced: provision it"
        )
    seen = facts.seen
    refuse_foreign(seen)
    refuse_other_encryption(facts)
    refuse_service_elsewhere(facts)
    refuse_another_discovery(desired, seen)
    refuse_another_role(desired, seen)
    refuse_blind(desired, seen, adds=True, initialised=True)
    masters = any(node.role is Role.MASTER for node in chosen)
    living = (facts.members if masters else facts.nodes).value
    refuse_unknown_minor(desired, living)
    refuse_other_networking(desired, living)
    if masters:
        refuse_unread_files(facts, living)
    chosen = sorted(chosen, key=lambda node: (node.role is not Role.MASTER, _is_ready(living, node), node.index))
    chosen = list(spread(chosen, seen, facts.failure_domains))
    _refuse_without_quorum(seen, living, [node for node in chosen if node.role is Role.MASTER])
    turn = partial(_turn, facts, living, options)
    workers = len(of_pool(desired.workers, options.pool))
    actions = list(turns(chosen, options.rolling, workers, turn))
    if facts.arranges:
        made = keys(action for action in actions if isinstance(action, CreateVm))
        actions.append(ArrangeVms(cluster=seen.cluster.name, reason="new machines take their places", after=made))
    return drained(Plan(tuple(actions), adoption(seen.cluster, living.version, facts.remedies)), facts)


def _chosen(desired: Desired, facts: Facts, options: Options) -> list[Node]:
    seen, by_name = facts.seen, {node.name: node for node in desired.nodes}
    strangers = sorted(set(options.nodes) - by_name.keys())
    if strangers:
        raise ConfigError(*(_why_not(desired, facts, name) for name in strangers))
    refuse_strange_pool(options.pool, [node.role for node in desired.nodes], desired.cluster.name)
    nodes = of_pool(desired.nodes, options.pool)
    if options.drifted:
        return [node for node in nodes if node.name not in seen.ours or _has_drifted(seen, node)]
    if options.pool:
        return nodes
    return [by_name[name] for name in dict.fromkeys(options.nodes)]


def _why_not(desired: Desired, facts: Facts, name: str) -> str:
    if name not in facts.seen.ours:
        known = ", ".join(node.name for node in desired.nodes)
        return f"{name}: no such node in cluster {desired.cluster.name}; it has {known}"
    stamp = facts.seen.ours[name].stamp
    if stamp and stamp.role is Role.DISCOVERY:
        return f"{name}: a discovery machine is not replaced; remove it and run again: {facts.remedies.destroy(name)}"
    return f"{name}: is no longer asked for, and would not be made anew. To remove it: {facts.remedies.destroy(name)}"


def _has_drifted(seen: Observation, node: Node) -> bool:
    vm = seen.ours[node.name]
    return bool((vm.stamp and vm.stamp.spec != node.stamp.spec) or (vm.status and vm.status.replace))


def _refuse_without_quorum(seen: Observation, living: Living, masters: Sequence[Node]) -> None:
    """The others must be able to go on alone; those whose turn was before are ready again by then."""
    ready = {node.name for node in living.nodes if node.ready}
    majorities = [("etcd", ready, "not Ready")]
    if seen.cluster.discovery_by_majority and seen.discovery:
        majorities.append(("discovery", {master.name for master in seen.discovery.masters}, "not healthy there"))
    for node in masters:
        others = {member.name for member in living.members} - {node.name}
        if not others:
            raise ConfigError(f"{node.name}: is the last master, and with it the cluster would be lost")
        for service, there, how in majorities:
            missing = sorted(others - there)
            if len(others) - len(missing) <= len(others) // 2:
                raise UnreadyError(
                    f"{node.name}: while it is made anew {service} would have no quorum: {', '.join(missing)} {how}"
                )
            there.add(node.name)


def _turn(facts: Facts, living: Living, options: Options, node: Node, after: frozenset[str]) -> Iterator[Action]:
    seen, name, master = facts.seen, node.name, node.role is Role.MASTER
    for first in emptied(seen, living, name, options.draining, Purpose.REPLACED, after):
        yield first
        after = keys([first])
    away = taken_away(seen, living, name, "it is made anew", after)
    yield from away
    joined = all(living.joined(vm.name) for vm in seen.of(Role.MASTER) if vm.name != name)
    what = "a join token and an upload of the certificates" if master else "a join token"
    mint = MintSecrets(
        cluster=seen.cluster.name, node=name, masters=master, renew=master and joined, reason=what, after=keys(away) or after
    )
    create = CreateVm(
        node=node,
        version=adopted(seen.cluster, living.version),
        reason=made_in(node, "it is made anew" if away else "it does not exist"),
        after=keys([mint, *away]),
    )
    boot = AwaitBoot(node=node, after=keys([create]))
    scrub = ScrubNode(node=node, reason="no secret is to stay in its boot data", after=keys([boot]))
    ready = AwaitReady(node=node, seconds=options.rolling.burn_in, reason="the next one waits for it", after=keys([boot]))
    yield from (mint, create, boot, scrub, *after_boot(node, wished(facts, node), boot), ready)


def _is_ready(living: Living, node: Node) -> bool:
    known = living.node(node.name)
    return bool(known and known.ready)


REPLACE = Verb("replace", ("provision_vm", "destroy_vm", "list_vms"), plan, report=tell, begin=remember)
