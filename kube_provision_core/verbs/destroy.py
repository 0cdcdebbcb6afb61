"""The planner of `destroy`: stamped machines only, whole clusters or single nodes. Pure, like every planner."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from ..cluster import Living
from ..cluster.advice import Remedies
from ..cluster.cordon import Purpose
from ..cluster.desired import Desired
from ..cluster.observe import Observation
from ..contract.errors import ConfigError
from ..contract.machines import Role
from ..engine.facts import Facts
from ..engine.nodes import CordonNode, DrainNode
from ..engine.ownership import check_identity, check_machines
from ..engine.plan import Action, ArchiveFolder, DestroyVm, ForgetCluster, Plan, keys
from ..engine.report import Report
from ..engine.verb import Options, Verb
from ..engine.wish import Draining
from .leaving import can_be_emptied, taken_away
from .pools import refuse_strange_pool
from .refusals import refuse_service_elsewhere, refuse_taking_quorum


def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
    """Of the machines that `options.nodes` names, of those of a pool, else of the whole cluster."""
    if options.pool:
        names = _of_pool(facts, options.pool)
        return _plan_nodes(desired, facts, names, options.draining, "its pool was named by --pool")
    if options.nodes:
        return _plan_nodes(desired, facts, options.nodes, options.draining, "it was named by --node")
    return _plan_cluster(facts)


def _of_pool(facts: Facts, pool: str) -> list[str]:
    """Names of the workers that were made for it, be it in the configuration or not."""
    check_identity(facts)
    roles = {name: vm.stamp.role for name, vm in facts.seen.ours.items() if vm.stamp}
    refuse_strange_pool(pool, roles.values(), facts.seen.cluster.name)
    return [name for name, role in roles.items() if role.pool == pool]


def _plan_cluster(facts: Facts) -> Plan:
    """Delete every machine of the cluster, have discovery forget it, move its folder aside. Empty where nothing is left."""
    check_machines(facts)
    seen = facts.seen
    name = seen.cluster.name
    nodes = [
        DestroyVm(vm=vm, reason="its cluster goes")
        for vm in seen.ours.values()
        if vm.stamp and vm.stamp.role is not Role.DISCOVERY
    ]
    servers = [DestroyVm(vm=vm, reason="nobody asks it any more", after=keys(nodes)) for vm in seen.of(Role.DISCOVERY)]
    actions: list[Action] = [*nodes, *servers]
    if seen.discovery is not None and not _dies_with_its_server(seen):
        reason = "else the next one of this name would wait to join it"
        actions.append(ForgetCluster(cluster=name, reason=reason, after=keys(nodes)))
    if facts.folder.saved:
        actions.append(ArchiveFolder(cluster=name, reason="its secrets open nothing any more", after=keys(actions)))
    return Plan(tuple(actions), (*_restoration(facts), *_not_forgotten(seen)) if actions else ())


def _restoration(facts: Facts) -> Iterator[str]:
    """That it is not an ordinary cluster that goes: somebody is about to bring it back."""
    folder, name = facts.folder, facts.seen.cluster.name
    if folder.abandoning:
        begun, more = "was destroying what is left of it when it was broken off", facts.remedies.restore_anew()
    elif folder.restoring:
        begun, more = "has begun, and what was made for that goes, too", facts.remedies.restore()
    else:
        return
    digest = (folder.abandoning or folder.restoring)[:12]
    yield f"a restoration of cluster {name} (from the snapshot {digest}…) {begun}. To go on with it instead: {more}"


def _left_alone(seen: Observation) -> Iterator[str]:
    """Machines that may be the cluster's all the same: somebody may have emptied their stamps. They go on running."""
    for vm in seen.vms:
        if vm.copy:
            cluster = seen.cluster.name
            yield f"{vm.where or vm.name} is left alone: it is a copy that somebody has made of a machine of {cluster}'s"
    for vm in seen.foreign:
        if vm.stamp is None and not vm.copy:
            yield (
                f"{vm.where or vm.name} is left alone: it bears a name of cluster {seen.cluster.name}'s, but no stamp. "
                "If it is the cluster's, delete it on the target; else a cluster of this name cannot be made again"
            )


def _not_forgotten(seen: Observation) -> Iterator[str]:
    """Why a record of the cluster may outlive it, and stand in the way of the next one of its name."""
    if seen.discovery or seen.servers or seen.cluster.discovery_on_masters:
        return
    if seen.discovery_error:
        yield f"not forgotten: {seen.discovery_error}"
    else:
        yield (
            f"cluster {seen.cluster.name} has no discovery machine, and no existing service is named. If it was made with "
            "one, that will not forget it until destroy is run with its address"
        )


def _plan_nodes(desired: Desired, facts: Facts, names: Collection[str], draining: Draining | None, named: str) -> Plan:
    """Delete single nodes, each once its pods have moved elsewhere. Raises `ConfigError` for what must not go."""
    check_identity(facts)
    seen = facts.seen
    refuse_service_elsewhere(facts)
    _refuse(seen, names, facts.remedies)
    living = (facts.nodes if _workers(desired, seen).issuperset(names) else facts.members).value
    drains = _drains(seen, names, living, draining) if draining else {}
    if objections := facts.objections_to(drains.values(), going=names):
        raise ConfigError(*objections)
    why, reason = Purpose.REMOVED, f"it is about to be {Purpose.REMOVED}"
    actions: list[Action] = [CordonNode(name=name, purpose=why, reason=reason) for name in drains]
    for name in sorted(names):
        first = [drains[name]] if name in drains else []
        actions += [*first, *taken_away(seen, living, name, named, after=keys(first))]
    return Plan(tuple(actions), tuple(_restoration(facts)))


def _drains(seen: Observation, names: Collection[str], living: Living, draining: Draining) -> dict[str, DrainNode]:
    """Of those that can be emptied, one after the other, once none of them takes new pods."""
    going = [name for name in sorted(names) if can_be_emptied(seen, living, name, going=names)]
    turn = frozenset(f"{CordonNode.verb} {name}" for name in going)
    found: dict[str, DrainNode] = {}
    for name in going:
        found[name] = DrainNode(name=name, reason="its pods move elsewhere", draining=draining, after=turn)
        turn = keys([found[name]])
    return found


def _workers(desired: Desired, seen: Observation) -> set[str]:
    """Machines that surely are workers, so that etcd has nothing to let go of."""
    gone = {node.name for node in desired.workers if node.name not in seen.ours}
    return {vm.name for vm in seen.of(Role.WORKER)} | gone


def _dies_with_its_server(seen: Observation) -> bool:
    """Whether what discovery knows lies on a machine of the cluster's own."""
    return any(vm.address == seen.cluster.discovery_address for vm in seen.servers)


def _refuse(seen: Observation, names: Collection[str], remedies: Remedies) -> None:
    cluster = seen.cluster.name
    known = seen.ours.keys()
    unknown = sorted(set(names) - known - seen.cluster.names)
    if unknown:
        raise ConfigError(
            f"--node {', '.join(unknown)}: no such node in cluster {cluster}; it has {', '.join(sorted(known)) or 'none'}"
        )
    refuse_taking_quorum(seen, names)
    masters = {vm.name for vm in seen.of(Role.MASTER)}
    if masters and masters <= set(names):
        raise ConfigError(
            f"--node {', '.join(sorted(masters))}: without them cluster {cluster} has no master left. To remove all of it: "
            f"{remedies.destroy()}"
        )


def tell(facts: Facts, options: Options, report: Report) -> Report:
    """With what may have been meant, and still stands."""
    return report if options.nodes or options.pool else replace(report, hints=tuple(_left_alone(facts.seen)))


DESTROY = Verb("destroy", ("destroy_vm", "list_vms"), plan, report=tell, renders=False)
