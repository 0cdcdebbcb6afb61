"""The planner of `provision`: desired minus observed = actions. Pure: it asks nobody and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..cluster import Living
from ..cluster.desired import Desired
from ..cluster.observe import Observation
from ..cluster.skew import adopted, adoption
from ..cluster.spreading import placed, strays
from ..contract.errors import ConfigError, ControlPlaneError
from ..contract.machines import Node, Power, Role
from ..engine.facts import Facts, Unknown
from ..engine.nodes import DeleteNode, ForgetNodes, RemoveMember
from ..engine.ownership import check_identity
from ..engine.plan import (
    Action,
    ArrangeVms,
    AwaitBoot,
    AwaitMasters,
    AwaitNode,
    CheckArrangement,
    CreateVm,
    ForgetInitialising,
    MintSecrets,
    Plan,
    ScrubNode,
    StartVm,
    keys,
    made_in,
)
from ..engine.verb import Options, Verb
from .discovery_machines import behind_first_master, first_master, first_of_each, needed, server_actions
from .ending import remember, tell
from .giving import left_over
from .labelling import labelled, postponed
from .refusals import (
    refuse_another_discovery,
    refuse_another_role,
    refuse_blind,
    refuse_fewer,
    refuse_foreign,
    refuse_lost_servers,
    refuse_other_encryption,
    refuse_other_networking,
    refuse_restoring,
    refuse_service_elsewhere,
    refuse_unknown_minor,
    refuse_unread_files,
)


@dataclass(frozen=True)
class Difference:
    """What is missing, and what that means."""

    missing: tuple[Node, ...]
    """Masters and workers that do not exist."""
    stopped: tuple[Node, ...]
    """Machines that exist and are not powered on."""
    servers: tuple[Node, ...]
    """Discovery machines that do not exist."""

    @property
    def masters(self) -> tuple[Node, ...]:
        return tuple(node for node in self.missing if node.role is Role.MASTER)


def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
    """The actions that lead from what was observed to what is desired; none that change anything where nothing is missing.

    A living master is asked only where something is missing. Raises `ConfigError` when the wish contradicts what exists,
    `DiscoveryError` or `ControlPlaneError` when the plan would rest on what nobody can know, `FolderError` where the cluster
    is another's.
    """
    check_identity(facts)
    refuse_restoring(facts)
    refuse_other_encryption(facts)
    refuse_service_elsewhere(facts)
    seen = facts.seen.without_leftovers
    desired = placed(desired, seen, facts.failure_domains)
    difference = compare(desired, seen)
    later = _postponed(seen, difference, facts)
    if later:
        desired, difference = desired.without(later), replace(difference, missing=())
    refuse_blind(desired, seen, bool(difference.missing), facts.lives)
    living = _living(facts, difference)
    refuse_unknown_minor(desired, living)
    refuse_other_networking(desired, living)
    if difference.masters:
        refuse_unread_files(facts, living)
    names = tuple(node.name for node in later)
    versions = adoption(seen.cluster, living.version, facts.remedies)
    later_labels = () if options.wait else postponed(facts, difference.missing)
    notes = (*_postponement(seen, names), *versions, *later_labels, *_notes(desired, facts))
    return Plan(tuple(_actions(desired, seen, difference, facts, living, options.wait)), notes, names)


def _actions(
    desired: Desired, seen: Observation, difference: Difference, facts: Facts, living: Living, wait: bool
) -> list[Action]:
    server = server_actions(desired, seen, difference.servers, difference.stopped)
    before = [*_forgotten(desired, facts), *_repairs(seen, difference, facts.lives, living)]
    before += _mint(seen, difference, facts.lives, living)
    carrier = _carrier(desired, seen, difference, facts)
    made = creations(difference, carrier, adopted(seen.cluster, living.version), after=needed(seen, server) | keys(before))
    stopped = [node for node in difference.stopped if node not in desired.discovery]
    starts = [StartVm(node=node, reason="it is not powered on") for node in stopped]
    begun = behind_first_master(desired, seen, [*made, *starts])
    arrange = arrangement(seen, difference, after=keys((*server, *begun))) if facts.arranges else ()
    there = keys(begun)
    looks = [it for it in awaits(desired, seen, first_of_each([*server, *begun]), wait) if it.key not in there]
    looks += await_masters(desired, begun, looks)
    labels = labelled(facts, desired.nodes, looks)
    return [*server, *before, *begun, *arrange, *looks, *labels, *scrubs(desired, seen), *left_over(desired.all, seen)]


def _living(facts: Facts, difference: Difference) -> Living:
    """What a living master tells; nothing where nobody has to be asked."""
    if not difference.missing:
        return Living()
    return (facts.members if difference.masters else facts.nodes).value


def compare(desired: Desired, seen: Observation) -> Difference:
    """What is missing. Raises `ConfigError` where machines are in the way or more exist than are desired.

    Raises `DiscoveryError` where most discovery machines are lost.
    """
    refuse_foreign(seen)
    refuse_another_discovery(desired, seen)
    refuse_another_role(desired, seen)
    refuse_fewer(desired, seen)
    ours = seen.ours
    servers = tuple(node for node in desired.discovery if node.name not in ours)
    refuse_lost_servers(desired, seen, servers)
    return Difference(
        missing=tuple(node for node in desired.nodes if node.name not in ours),
        stopped=tuple(node for node in desired.all if node.name in ours and ours[node.name].power is not Power.ON),
        servers=servers,
    )


def _postponed(seen: Observation, difference: Difference, facts: Facts) -> tuple[Node, ...]:
    """What is missing and has to wait: a cluster lets nobody in while none of its masters is powered on."""
    masters = seen.of(Role.MASTER)
    asleep = facts.lives and bool(masters) and all(vm.power is not Power.ON for vm in masters)
    return difference.missing if asleep else ()


def _postponement(seen: Observation, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield (
            f"no master of cluster {seen.cluster.name} is powered on, and without one nothing can be added: this run starts "
            f"what there is. Run again for {', '.join(names)}"
        )


def forget_nodes(desired: Desired, after: frozenset[str] = frozenset()) -> ForgetNodes:
    return ForgetNodes(cluster=desired.cluster.name, reason="their machines are lost", after=after)


def _forgotten(desired: Desired, facts: Facts) -> Iterator[Action]:
    """What is left to do of a restoration that was broken off once the cluster lived: whoever goes on begins with it."""
    if facts.folder.restoring and facts.answering:
        yield forget_nodes(desired)


def _repairs(seen: Observation, difference: Difference, initialised: bool, living: Living) -> Iterator[Action]:
    """What is left in the cluster of machines that are gone."""
    for node in difference.missing:
        if living.member(node.name):
            yield RemoveMember(name=node.name, reason="its machine is gone")
        if living.node(node.name):
            yield DeleteNode(name=node.name, reason="its machine is gone")
    if difference.masters:
        for member in living.strangers(seen.master_addresses):
            yield RemoveMember(name=f"etcd-{member.id}", member=member.id, reason="a learner whose machine is gone")
    initialising = seen.discovery.initialising if seen.discovery else None
    if initialising and not initialised and initialising not in seen.ours:
        yield ForgetInitialising(cluster=seen.cluster.name, name=initialising, reason="its machine is gone")


def _mint(seen: Observation, difference: Difference, initialised: bool, living: Living) -> Iterator[Action]:
    if not (initialised and difference.missing):
        return
    what = "a join token and an upload of the certificates" if difference.masters else "a join token"
    joined = all(vm.status and vm.status.finished and living.joined(vm.name) for vm in seen.of(Role.MASTER))
    masters = bool(difference.masters)
    yield MintSecrets(cluster=seen.cluster.name, masters=masters, renew=masters and joined, reason=what)


def creations(difference: Difference, carrier: Node | None, version: str, after: frozenset[str]) -> list[CreateVm]:
    return [
        CreateVm(
            node=replace(node, stamp=replace(node.stamp, carries_ca=True)) if node == carrier else node,
            reason=made_in(node, "it may initialise the cluster" if node == carrier else "it does not exist"),
            version=version,
            after=after,
        )
        for node in difference.missing
    ]


def arrangement(seen: Observation, difference: Difference, after: frozenset[str]) -> Iterator[Action]:
    if difference.missing or difference.servers:
        yield ArrangeVms(cluster=seen.cluster.name, reason="new machines take their places", after=after)
    else:
        reason = "an earlier run may not have come to it"
        yield CheckArrangement(cluster=seen.cluster.name, reason=reason, after=after)


def _carrier(desired: Desired, seen: Observation, difference: Difference, facts: Facts) -> Node | None:
    """The one machine that is given the certificate authorities: only in a cluster that surely has no other such machine."""
    if facts.lives or any(vm.stamp and vm.stamp.carries_ca for vm in seen.of(Role.MASTER)):
        return None
    if isinstance(facts.initialised, Unknown):
        raise ControlPlaneError(
            f"cannot know whether cluster {seen.cluster.name} was initialised, and so which machine may do it: "
            f"{facts.initialised.reason}. Nothing was changed"
        )
    if desired.cluster.discovery_on_masters:
        return first_master(seen, difference.masters, facts.folder.carrier, facts.remedies)
    if not difference.masters:
        raise ConfigError(
            f"no machine of cluster {seen.cluster.name} can initialise it: the one that could is gone. "
            f"Remove a master and run again: {facts.remedies.remove(seen.of(Role.MASTER)[0].name)}"
        )
    if seen.of(Role.MASTER) and seen.discovery is None:
        raise seen.discovery_refusal(
            f"cannot know whether cluster {seen.cluster.name} was initialised, and so which machine may do it: "
            f"{seen.discovery_error or 'its discovery machine is gone'}. Nothing was changed"
        )
    return difference.masters[0]


def awaits(desired: Desired, seen: Observation, begun: Iterable[Action], wait: bool) -> Iterator[Action]:
    begun_keys = {action.subject: action.key for action in begun}
    for node in desired.all if wait else desired.nodes:
        vm = seen.ours.get(node.name)
        finished = bool(vm and vm.status and vm.status.finished)
        after = frozenset(filter(None, [begun_keys.get(node.name)]))
        if wait and (after or not finished):
            yield (awaited := AwaitBoot(node=node, after=after))
            if not finished:
                yield ScrubNode(node=node, reason="no secret is to stay in its boot data", after=keys([awaited]))
        elif after or (vm and not vm.address):
            yield AwaitNode(node=node, after=after)


def await_masters(desired: Desired, begun: Iterable[Action], looks: Iterable[Action]) -> Iterator[Action]:
    """In a run that waits for boots: nobody needs it where none is awaited."""
    if any(isinstance(action, AwaitBoot) for action in looks):
        names = {node.name for node in desired.masters}
        after = keys(action for action in begun if action.subject in names)
        yield AwaitMasters(cluster=desired.cluster.name, after=after)


def scrubs(desired: Desired, seen: Observation) -> Iterator[Action]:
    for node in desired.all:
        vm = seen.ours.get(node.name)
        if vm and vm.status and vm.status.finished and not vm.scrubbed:
            yield ScrubNode(node=node, reason="it has finished its boot")


def _notes(desired: Desired, facts: Facts) -> Iterator[str]:
    seen, remedies = facts.seen, facts.remedies
    cluster = seen.cluster.name
    astray = strays(desired, seen, facts.failure_domains)
    if desired.discovery and seen.ours and not seen.of(Role.DISCOVERY):
        yield (
            f"cluster {cluster} has no discovery machine any more, and gets one anew. If it was made with an existing "
            "service, stop and name that one; if masters are its discovery, stop and say so"
        )
    for node in desired.all:
        vm = seen.ours.get(node.name)
        if vm is None:
            continue
        if vm.status and (vm.status.state == "failed" or vm.status.replace):
            yield f"{node.name} failed: {remedies.trouble(vm.status, node.name)}"
        elif vm.stamp and vm.stamp.spec != node.stamp.spec:
            changed = "; ".join(change.text for change in facts.changes(node))
            what = f"{node.name} was made from another configuration ({changed})"
            yield f"{what}. To make it anew: {remedies.replace(node.name)}"
    if astray:
        yield f"made before their role had failure domains, or in others, and given one when made anew: {', '.join(astray)}"
    if seen.discovery_error:
        yield f"discovery could not be asked: {seen.discovery_error}"


PROVISION = Verb("provision", ("provision_vm", "list_vms"), plan, report=tell, begin=remember)
