"""The planner of `restore`: a cluster of which nothing is left is made anew, and begins with what a backup has kept of it.

Its first master is brought the snapshot and initialises the cluster from it; then the cluster forgets the nodes of before,
and the others join it as new machines join any cluster that lives. Until those nodes are forgotten its folder says that it
is being restored: what exists by then belongs to the restoration, and another run goes on with it. Where something is
destroyed first the folder tells that before, and that it is not the restoration's.

Masters alone may be restored, where workers go on: they are neither lost nor made, and look for masters by themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..cluster import Living
from ..cluster.desired import Desired
from ..cluster.observe import Observation
from ..cluster.skew import adopted, adoption, minor, numbers
from ..cluster.spreading import placed
from ..config.core import SUPPORTED_MINORS
from ..contract.errors import ConfigError
from ..contract.machines import Node, Role
from ..engine.facts import Facts
from ..engine.nodes import ForgetNodes
from ..engine.ownership import check_identity
from ..engine.plan import Action, AwaitBoot, BeginRestore, BringSnapshot, MintSecrets, Plan, StartVm, keys
from ..engine.session import Session
from ..engine.verb import Options, Verb
from ..folder.configuration import keep
from . import ending, provision
from .discovery_machines import first_of_each, needed, server_actions
from .fencing import afterwards, cleared, lost, refuse_elsewhere
from .giving import left_over
from .labelling import after_boot, awaited_masters, wished
from .provision import (
    Difference,
    arrangement,
    await_masters,
    awaits,
    compare,
    creations,
    forget_nodes,
    scrubs,
)
from .refusals import refuse_another_discovery, refuse_blind, refuse_other_encryption, refuse_unknown_minor
from .registering import newcomers, registered, unregistered

if TYPE_CHECKING:
    from ..backup import Archive


def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
    """The actions that lead from nothing, or from where an earlier run has left it, to the cluster of the backup.

    Raises `ConfigError` where the backup does not fit or anything of the cluster exists, and what `provision` raises.
    """
    archive = _fitting(desired, facts)
    if desired.cluster.discovery_on_masters:
        raise ConfigError(
            "discovery: the masters' own is not restored with them, since what the backup remembers would be taken for the "
            "new cluster's record. Restore with another discovery, or without what makes masters the service"
        )
    check_identity(facts)
    refuse_other_encryption(facts)
    refuse_another_discovery(desired, facts.seen)
    sha256, masters_only = archive.end.sha256, options.only == Role.MASTER
    same = (facts.folder.restoring, facts.folder.masters_only) == (sha256, masters_only)
    begun = same and not options.abandon_old
    if begun and facts.lives and facts.answering:
        return _rest(desired, facts, options)
    goes_on = begun and not facts.lives  # one that has lived, and does no more, was lost once more
    first = () if goes_on else tuple(cleared(facts, sha256, options))
    refuse_elsewhere(facts, archive)
    seen = (facts.seen if goes_on else afterwards(facts.seen, lost(facts.seen, options))).without_leftovers
    refuse_blind(desired, seen, True, initialised=False)
    desired = placed(desired, seen, facts.failure_domains)
    name, version = desired.cluster.name, archive.about.kubernetes
    reason = "what is made from now on begins with it"
    begin = BeginRestore(cluster=name, sha256=sha256, masters_only=masters_only, reason=reason, after=keys(first))
    before: list[Action] = [*first, *([] if goes_on else [begin])]
    made = list(_made(desired, seen, facts, adopted(desired.cluster, version), keys(before), options.wait))
    joined = _joined_since(desired, facts, options)
    known = registered(joined, facts, after=_forgotten(made))
    notes = (_told(archive), *_staying(desired, seen, options), *unregistered(joined, facts))
    return Plan((*before, *made, *known), (*notes, *adoption(desired.cluster, version, facts.remedies)))


def _rest(desired: Desired, facts: Facts, options: Options) -> Plan:
    """What is missing of one that lives again, as of any cluster."""
    rest = provision.plan(desired, facts, options)
    joined = _joined_since(desired, facts, options)
    known = registered(joined, facts, after=_forgotten(rest.actions))
    return replace(rest, actions=(*rest.actions, *known), notes=(*rest.notes, *unregistered(joined, facts)))


def _joined_since(desired: Desired, facts: Facts, options: Options) -> Collection[Node]:
    """Workers that outlive their masters, and are not in the backup."""
    return newcomers(desired.workers, facts) if options.only else ()


def _forgotten(actions: Iterable[Action]) -> frozenset[str]:
    return keys(action for action in actions if isinstance(action, ForgetNodes))


def _fitting(desired: Desired, facts: Facts) -> Archive:
    """The backup, of which the configuration can make a cluster. Else raises `ConfigError`."""
    archive = facts.archive
    if archive is None:
        raise ConfigError("no backup was named that the cluster could be restored from")
    about = archive.about
    newest = max(SUPPORTED_MINORS, key=numbers)
    about.refuse_newer(kubernetes=newest)
    refuse_unknown_minor(desired, Living(version=about.kubernetes))
    if numbers(minor(desired.cluster.kubernetes_version)) < numbers(minor(about.kubernetes)):
        about.refuse_newer(kubernetes=desired.cluster.kubernetes_version)
    return archive


def _told(archive: Archive) -> str:
    about, end = archive.about, archive.end
    roles = Counter(role.partition("-")[0] for role in about.machines.values())  # without the names of pools
    return (
        f"the backup is of {about.created:%Y-%m-%d %H:%M} UTC: {end.size / 1e6:.1f} MB at revision {end.revision}, "
        f"Kubernetes {about.kubernetes}, masters: {roles[Role.MASTER]}, workers: {roles[Role.WORKER]}. "
        "What was written since is lost"
    )


def _staying(desired: Desired, seen: Observation, options: Options) -> Iterator[str]:
    """What is not made anew, and what that rests on."""
    if not options.only:
        return
    yield f"masters alone are restored; as they are stay: {', '.join(vm.name for vm in seen.of(Role.WORKER))}"
    if desired.discovery and not seen.of(Role.DISCOVERY):
        yield (
            f"cluster {desired.cluster.name} has no discovery machine any more, and gets one anew. Its workers look for it "
            "where the one before was: it must have that address"
        )


def _made(
    desired: Desired, seen: Observation, facts: Facts, version: str, after: frozenset[str], wait: bool
) -> Iterator[Action]:
    """All machines: the one that begins with the snapshot, and once the cluster lives those that join it."""
    difference = compare(desired, seen)
    first = _first(desired, seen, facts, difference)
    others = tuple(node for node in difference.missing if node != first)
    server = _once(server_actions(desired, seen, difference.servers, difference.stopped), after)
    carrier = replace(difference, missing=tuple(node for node in difference.missing if node == first))
    begun: list[Action] = [*creations(carrier, first, version, after=after | needed(seen, server))]
    stopped = [node for node in difference.stopped if node not in desired.discovery]
    begun += [StartVm(node=node, reason="it is not powered on") for node in stopped]
    restored = list(_restored(first, keys(begun)))
    forget = forget_nodes(desired, after=keys(restored))
    mint = list(_mint(desired, others, after=keys([forget])))
    joining = creations(replace(difference, missing=others), None, version, after=keys([forget, *mint]))
    made = [*begun, *joining]
    arrange = arrangement(seen, difference, after=keys((*server, *made))) if facts.arranges else ()
    looks = [it for it in awaits(desired, seen, [*first_of_each(server), *made], wait) if it.key not in keys(restored)]
    looks += await_masters(desired, made, [*restored, *looks])
    labels = _labels(desired, facts, [*restored, *looks], after=keys([forget]))
    yield from (*server, *begun, *restored, forget, *mint, *joining, *arrange, *looks, *labels)
    yield from (*scrubs(desired, seen), *left_over(desired.all, seen))


def _once(actions: Iterable[Action], before: frozenset[str]) -> tuple[Action, ...]:
    """The same actions, none of which begins until these are done."""
    return tuple(replace(action, after=action.after | before) for action in actions)


def _first(desired: Desired, seen: Observation, facts: Facts, difference: Difference) -> Node:
    """The master that begins with the snapshot: the one that an earlier run has made for it, else the first that is missing.

    Raises `ConfigError` where neither is: it was destroyed between two runs, and the others wait for it in vain.
    """
    carriers = {vm.name for vm in seen.of(Role.MASTER) if vm.stamp and vm.stamp.carries_ca}
    found = [node for node in desired.masters if node.name in carriers] or difference.masters
    if not found:
        raise ConfigError(
            f"no machine of cluster {desired.cluster.name} can begin with the snapshot: the one that could is gone. To "
            f"begin the restoration anew: {facts.remedies.restore_anew()}"
        )
    return found[0]


def _restored(first: Node, after: frozenset[str]) -> Iterator[Action]:
    """The master is looked at while it waits for the snapshot: it may never come to that."""
    yield BringSnapshot(node=first, reason="its etcd begins with it", after=after)
    yield AwaitBoot(node=first, reason="the others join what it initialises", after=after)


def _labels(desired: Desired, facts: Facts, looks: Collection[Action], after: frozenset[str]) -> Iterator[Action]:
    """Nobody is asked what nodes lack: the cluster does not live yet."""
    for look in looks:
        if isinstance(look, AwaitBoot) and look.node in desired.nodes:
            yield from after_boot(look.node, wished(facts, look.node), look, after | awaited_masters(looks))


def _mint(desired: Desired, others: Collection[Node], after: frozenset[str]) -> Iterator[Action]:
    if others:
        masters = any(node.role is Role.MASTER for node in others)
        what = "a join token and an upload of the certificates" if masters else "a join token"
        yield MintSecrets(cluster=desired.cluster.name, masters=masters, reason=what, after=after)


def begin(session: Session, facts: Facts) -> None:
    """The folder is written from the backup before anything is made, and the configuration where that is from it."""
    session.folder.save()
    keep(session.config.unwritten)


RESTORE = Verb("restore", ("provision_vm", "destroy_vm", "list_vms"), plan, report=ending.tell, begin=begin)
