"""The planner of `provision`: desired minus observed = actions. Pure: it asks nobody and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from .control_plane import Living
from .desired import Desired
from .errors import ConfigError, DiscoveryError
from .model import Node, Power, Role
from .observe import Observation
from .plan import (
    Action,
    ArrangeVms,
    AwaitBoot,
    AwaitNode,
    CheckArrangement,
    CreateVm,
    ForgetInitialising,
    MintSecrets,
    Plan,
    RemoveMember,
    ScrubNode,
    StartVm,
    keys,
)


@dataclass(frozen=True)
class Difference:
    """What is missing, and what that means."""

    missing: tuple[Node, ...]
    """Masters and workers that do not exist."""
    stopped: tuple[Node, ...]
    """Machines that exist and are not powered on."""
    server: Node | None
    """The discovery machine, where it has to be created."""

    @property
    def masters(self) -> tuple[Node, ...]:
        return tuple(node for node in self.missing if node.role is Role.MASTER)


def plan(
    desired: Desired,
    seen: Observation,
    difference: Difference,
    *,
    initialised: bool,
    living: Living,
    wait: bool,
    arranges: bool = True,
) -> Plan:
    """The actions that lead from what was observed to what is desired; none that change anything where nothing is missing.

    `initialised`: what `is_initialised` said. `living`: what a master told, empty where nobody had to be asked. `wait`: also
    await the end of every boot. `arranges`: the target arranges its machines among themselves.

    Raises `ConfigError` when the wish contradicts what exists, and `DiscoveryError` when the plan would rest on what nobody
    can know; nothing has been changed then.
    """
    _refuse_blind(desired, seen, difference, initialised)
    _refuse_another_minor(desired, living)
    server = _server_actions(desired, difference)
    before = [*_repairs(seen, difference, initialised, living), *_mint(desired, difference, initialised)]
    creations = _creations(desired, seen, difference, initialised, after=keys((*server, *before)))
    starts = [StartVm(node=node, reason="it is not powered on") for node in difference.stopped if node != desired.discovery]
    begun = [*creations, *starts]
    arrange = _arrangement(seen, difference, after=keys((*server, *begun))) if arranges else ()
    awaits = _awaits(desired, seen, [*server[:1], *begun], wait)
    actions = [*server, *before, *begun, *arrange, *awaits, *_scrubs(desired, seen)]
    return Plan(tuple(actions), (*_patch_notes(desired, living), *_notes(desired, seen)))


def compare(desired: Desired, seen: Observation) -> Difference:
    """What is missing. Raises `ConfigError` where machines are in the way or more exist than are desired."""
    _refuse_foreign(seen)
    _refuse_another_discovery(desired, seen)
    _refuse_fewer(desired, seen)
    ours = seen.ours
    return Difference(
        missing=tuple(node for node in desired.nodes if node.name not in ours),
        stopped=tuple(node for node in desired.all if node.name in ours and ours[node.name].power is not Power.ON),
        server=desired.discovery if desired.discovery and desired.discovery.name not in ours else None,
    )


def postponed(seen: Observation, difference: Difference, initialised: bool) -> tuple[Node, ...]:
    """What is missing and has to wait: a cluster lets nobody in while none of its masters is powered on."""
    masters = seen.of(Role.MASTER)
    asleep = initialised and bool(masters) and all(vm.power is not Power.ON for vm in masters)
    return difference.missing if asleep else ()


def postponement(seen: Observation, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield (
            f"no master of cluster {seen.cluster.name} is powered on, and without one nothing can be added: this run starts "
            f"what there is. Run again for {', '.join(names)}"
        )


def is_initialised(seen: Observation, marked: bool) -> bool:
    """Whether the cluster is known to live: by the record, by the mark in its folder, or by a master that has finished.

    "No master answers right now" is never taken for "no cluster".
    """
    recorded = seen.discovery is not None and seen.discovery.initialised
    return recorded or marked or any(vm.status and vm.status.finished for vm in seen.of(Role.MASTER))


def _refuse_foreign(seen: Observation) -> None:
    problems = [
        f"{vm.where or vm.name}: this machine is not one of cluster {seen.cluster.name}'s and bears a name that the cluster "
        "needs; it is left alone. Rename it, or choose another --name or --host-prefix"
        for vm in seen.foreign
    ]
    if problems:
        raise ConfigError(*problems)


def _refuse_another_discovery(desired: Desired, seen: Observation) -> None:
    """New machines would look for the cluster where it is not known."""
    own = seen.of(Role.DISCOVERY)
    if own and desired.discovery is None and seen.cluster.discovery_address not in {vm.address for vm in own}:
        raise ConfigError(
            f"cluster {seen.cluster.name} has a discovery machine of its own, {own[0].name}: name no other service. If it "
            f"is no longer needed, remove it: {desired.remedies.destroy(own[0].name)}"
        )


def _refuse_fewer(desired: Desired, seen: Observation) -> None:
    surplus = sorted(seen.ours.keys() - {node.name for node in desired.all} - {vm.name for vm in seen.of(Role.DISCOVERY)})
    if surplus:
        raise ConfigError(
            f"cluster {seen.cluster.name} has {len(surplus)} more machine(s) than asked for: {', '.join(surplus)}. "
            f"To remove them: {desired.remedies.destroy(*surplus)}"
        )


def _refuse_blind(desired: Desired, seen: Observation, difference: Difference, initialised: bool) -> None:
    """New machines need discovery. A server of our own may still be booting, as long as the cluster is not initialised."""
    booting = desired.discovery is not None and not initialised
    if difference.missing and seen.discovery_error and not booting:
        raise DiscoveryError(f"{seen.discovery_error}. New machines could not find their cluster; nothing was changed")


def _refuse_another_minor(desired: Desired, living: Living) -> None:
    """New machines could not join: https://kubernetes.io/releases/version-skew-policy/"""
    wanted, minor = desired.cluster.kubernetes_version, _minor(living.version)
    if living.version and _minor(wanted) != minor:
        raise ConfigError(
            f"kubernetes_version: new machines would get {wanted}, but cluster {desired.cluster.name} runs "
            f"{living.version}: kubeadm joins a cluster of its own minor only, and no kubelet may be newer than the "
            f"API server. Set it to {minor} (--k8s-version {minor}), or upgrade the cluster first"
        )


def _patch_notes(desired: Desired, living: Living) -> Iterator[str]:
    wanted = desired.cluster.kubernetes_version
    if living.version and wanted not in (living.version, _minor(living.version)):
        yield f"new machines get Kubernetes {wanted}, and the cluster runs {living.version}"


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _server_actions(desired: Desired, difference: Difference) -> list[Action]:
    """The discovery machine first, as far as its address: every other machine is told where it is."""
    server = desired.discovery
    if server and server == difference.server:
        begin: Action = CreateVm(node=server, reason="no existing discovery service was named")
    elif server and server in difference.stopped:
        begin = StartVm(node=server, reason="it is not powered on")
    else:
        return []
    return [begin, AwaitNode(node=server, reason="the others are told its address", after=keys([begin]))]


def _repairs(seen: Observation, difference: Difference, initialised: bool, living: Living) -> Iterator[Action]:
    """What is left in the cluster of machines that are gone."""
    for node in difference.missing:
        if living.knows(node.name):
            yield RemoveMember(name=node.name, reason="its machine is gone")
    if difference.masters:
        for member in living.strangers(seen.master_addresses):
            yield RemoveMember(name=f"etcd-{member.id}", member=member.id, reason="a learner whose machine is gone")
    initialising = seen.discovery.initialising if seen.discovery else None
    if initialising and not initialised and initialising not in seen.ours:
        yield ForgetInitialising(cluster=seen.cluster.name, name=initialising, reason="its machine is gone")


def _mint(desired: Desired, difference: Difference, initialised: bool) -> Iterator[Action]:
    if initialised and difference.missing:
        what = "a join token and an upload of the certificates" if difference.masters else "a join token"
        yield MintSecrets(cluster=desired.cluster.name, masters=bool(difference.masters), reason=what)


def _creations(
    desired: Desired, seen: Observation, difference: Difference, initialised: bool, after: frozenset[str]
) -> list[Action]:
    carrier = _carrier(desired, seen, difference, initialised)
    return [
        CreateVm(
            node=replace(node, stamp=replace(node.stamp, carries_ca=True)) if node == carrier else node,
            reason="it may initialise the cluster" if node == carrier else "it does not exist",
            after=after,
        )
        for node in difference.missing
    ]


def _arrangement(seen: Observation, difference: Difference, after: frozenset[str]) -> Iterator[Action]:
    if difference.missing or difference.server:
        yield ArrangeVms(cluster=seen.cluster.name, reason="new machines take their places", after=after)
    elif seen.ours:
        reason = "an earlier run may not have come to it"
        yield CheckArrangement(cluster=seen.cluster.name, reason=reason, after=after)


def _carrier(desired: Desired, seen: Observation, difference: Difference, initialised: bool) -> Node | None:
    """The one machine that is given the certificate authorities: only in a cluster that surely has no other such machine."""
    if initialised or any(vm.stamp and vm.stamp.carries_ca for vm in seen.of(Role.MASTER)):
        return None
    if not difference.masters:
        raise ConfigError(
            f"no machine of cluster {seen.cluster.name} can initialise it: the one that could is gone. "
            f"Remove a master and run again: {desired.remedies.destroy(seen.of(Role.MASTER)[0].name)}"
        )
    if seen.of(Role.MASTER) and seen.discovery is None:
        raise DiscoveryError(
            f"cannot know whether cluster {seen.cluster.name} was initialised, and so which machine may do it: "
            f"{seen.discovery_error or 'its discovery machine is gone'}. Nothing was changed"
        )
    return difference.masters[0]


def _awaits(desired: Desired, seen: Observation, begun: Iterable[Action], wait: bool) -> Iterator[Action]:
    begun_keys = {action.subject: action.key for action in begun}
    for node in desired.all if wait else desired.nodes:
        vm = seen.ours.get(node.name)
        finished = bool(vm and vm.status and vm.status.finished)
        after = frozenset(filter(None, [begun_keys.get(node.name)]))
        if wait and (after or not finished):
            yield (awaited := AwaitBoot(node=node, after=after))
            if not finished:
                yield ScrubNode(node=node, reason="its boot data is no longer needed", after=keys([awaited]))
        elif after:
            yield AwaitNode(node=node, after=after)


def _scrubs(desired: Desired, seen: Observation) -> Iterator[Action]:
    for node in desired.all:
        vm = seen.ours.get(node.name)
        if vm and vm.status and vm.status.finished and not vm.scrubbed:
            yield ScrubNode(node=node, reason="it has finished its boot")


def _notes(desired: Desired, seen: Observation) -> Iterator[str]:
    cluster, remedies = seen.cluster.name, desired.remedies
    if desired.discovery and desired.discovery.name not in seen.ours and seen.ours:
        yield (
            f"cluster {cluster} has no discovery machine any more, and gets one anew. If it was made with an existing "
            "service, stop and name that one"
        )
    for node in desired.all:
        vm = seen.ours.get(node.name)
        if vm is None:
            continue
        if vm.stamp and vm.stamp.spec != node.stamp.spec:
            yield f"{node.name} was made from another configuration. To make it anew: {remedies.replace(node.name)}"
        if vm.status and (vm.status.state == "failed" or vm.status.replace):
            replace_it = "" if vm.status.replace else f". To replace it: {remedies.replace(node.name)}"
            yield f"{node.name} failed: {remedies.trouble(vm.status, node.name)}{replace_it}"
    if seen.discovery_error:
        yield f"discovery could not be asked: {seen.discovery_error}"
