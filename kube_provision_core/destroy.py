"""The planner of `destroy`: stamped machines only, whole clusters or single nodes. Pure, like every planner."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .control_plane import Living
from .errors import ConfigError
from .model import Role
from .observe import Observation
from .plan import Action, ArchiveFolder, DestroyVm, ForgetCluster, Plan, RemoveMember, keys
from .remedies import Remedies


def plan_cluster(seen: Observation, *, folder_saved: bool) -> Plan:
    """Delete every machine of the cluster, have discovery forget it, move its folder aside. Empty where nothing is left."""
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
    if folder_saved:
        actions.append(ArchiveFolder(cluster=name, reason="its secrets open nothing any more", after=keys(actions)))
    return Plan(tuple(actions), tuple(_not_forgotten(seen)) if actions else ())


def _not_forgotten(seen: Observation) -> Iterator[str]:
    """Why a record of the cluster may outlive it, and stand in the way of the next one of its name."""
    if seen.discovery or seen.of(Role.DISCOVERY):
        return
    if seen.discovery_error:
        yield f"not forgotten: {seen.discovery_error}"
    else:
        yield (
            f"cluster {seen.cluster.name} has no discovery machine, and no existing service is named. If it was made with "
            "one, that will not forget it until destroy is run with its name (--consul-ip)"
        )


def plan_nodes(seen: Observation, names: Collection[str], living: Living, remedies: Remedies) -> Plan:
    """Delete single nodes, each after the living cluster has let go of it. Raises `ConfigError` for what must not go."""
    _refuse(seen, names, remedies)
    actions: list[Action] = []
    for name in sorted(names):
        remove = [RemoveMember(name=name, reason="its machine is about to go")] if living.knows(name) else []
        actions += remove
        if name in seen.ours:
            actions.append(DestroyVm(vm=seen.ours[name], reason="it was named by --node", after=keys(remove)))
    return Plan(tuple(actions))


def _dies_with_its_server(seen: Observation) -> bool:
    """Whether what discovery knows lies on a machine of the cluster's own."""
    return any(vm.address == seen.cluster.discovery_address for vm in seen.of(Role.DISCOVERY))


def _refuse(seen: Observation, names: Collection[str], remedies: Remedies) -> None:
    cluster = seen.cluster.name
    known = seen.ours.keys()
    unknown = sorted(set(names) - known - seen.cluster.names)
    if unknown:
        raise ConfigError(
            f"--node {', '.join(unknown)}: no such node in cluster {cluster}; it has {', '.join(sorted(known)) or 'none'}"
        )
    masters = {vm.name for vm in seen.of(Role.MASTER)}
    if masters and masters <= set(names):
        raise ConfigError(
            f"--node {', '.join(sorted(masters))}: without them cluster {cluster} has no master left. To remove all of it: "
            f"{remedies.destroy()}"
        )
