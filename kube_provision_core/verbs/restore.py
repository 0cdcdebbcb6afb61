"""The planner of `restore`: a cluster of which nothing is left is made anew, and begins with what a backup has kept of it.

Its first master is brought the snapshot and initialises the cluster from it; then the cluster forgets the nodes of before,
and the others join it as new machines join any cluster that lives. Until those nodes are forgotten its folder says that it
is being restored: what exists by then belongs to the restoration, and another run goes on with it. Where something is
destroyed first the folder tells that before, and that it is not the restoration's.
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
from ..config.core import SUPPORTED_MINORS
from ..contract.errors import ConfigError
from ..contract.machines import Node, Power, Role
from ..engine.facts import Facts
from ..engine.ownership import check_identity
from ..engine.plan import (
    AbandonCluster,
    Action,
    AwaitBoot,
    BeginRestore,
    BringSnapshot,
    DestroyVm,
    ForgetCluster,
    MintSecrets,
    Plan,
    StartVm,
    keys,
)
from ..engine.session import Session
from ..engine.verb import Options, Verb
from ..folder.configuration import keep
from . import ending, provision
from .giving import left_over
from .provision import (
    Difference,
    arrangement,
    await_masters,
    awaits,
    compare,
    creations,
    forget_nodes,
    scrubs,
    server_actions,
)
from .refusals import refuse_another_discovery, refuse_blind, refuse_unknown_minor

if TYPE_CHECKING:
    from ..backup import Archive


def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
    """The actions that lead from nothing, or from where an earlier run has left it, to the cluster of the backup.

    Raises `ConfigError` where the backup does not fit or anything of the cluster exists, and what `provision` raises.
    """
    archive = _fitting(desired, facts)
    check_identity(facts)
    refuse_another_discovery(desired, facts.seen)
    begun = facts.folder.restoring == archive.end.sha256 and not options.abandon_old
    if begun and facts.lives and facts.answering:
        return provision.plan(desired, facts, options)
    goes_on = begun and not facts.lives  # one that has lived, and does no more, was lost once more
    first = () if goes_on else tuple(_cleared(facts, archive.end.sha256, options))
    _refuse_elsewhere(facts, archive)
    seen = (facts.seen if goes_on else _afterwards(facts.seen)).without_leftovers
    refuse_blind(desired, seen, True, initialised=False)
    name, version = desired.cluster.name, archive.about.kubernetes
    reason = "what is made from now on begins with it"
    begin = BeginRestore(cluster=name, sha256=archive.end.sha256, reason=reason, after=keys(first))
    before: list[Action] = [*first, *([] if goes_on else [begin])]
    made = _made(desired, seen, facts, adopted(desired.cluster, version), keys(before), options.wait)
    return Plan((*before, *made), (_told(archive), *adoption(desired.cluster, version, facts.remedies)))


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
    roles = Counter(about.machines.values())
    return (
        f"the backup is of {about.created:%Y-%m-%d %H:%M} UTC: {end.size / 1e6:.1f} MB at revision {end.revision}, "
        f"Kubernetes {about.kubernetes}, masters: {roles[Role.MASTER]}, workers: {roles[Role.WORKER]}. "
        "What was written since is lost"
    )


def _cleared(facts: Facts, sha256: str, options: Options) -> Iterator[Action]:
    """What takes away all that is left of the cluster. Raises `ConfigError` where it lives, or is not to be abandoned.

    What a restoration has made, and not brought to life, may be abandoned though its API server answers: of that the folder
    tells already. Of anything else it tells first that it goes, since it may be broken off in the midst of that.
    """
    seen, name = facts.seen, facts.seen.cluster.name
    failed = facts.folder.restoring and not facts.lives
    if not failed and facts.answering:
        raise ConfigError(
            f"cluster {name} lives: {facts.answering} answers. A restoration would make a second one of it. What it lacks "
            f"is made by: {facts.remedies.provision()}"
        )
    left = sorted(seen.ours)
    if left and not options.abandon_old:
        raise ConfigError(_left(left, facts))
    remembered = seen.discovery and (seen.discovery.cluster_id or seen.discovery.initialising)
    told: tuple[Action, ...] = ()
    if (left or remembered) and not failed:
        reason = "a run that is broken off before it begins anew is found again"
        told = (AbandonCluster(cluster=name, sha256=sha256, reason=reason),)
    reason = "it is abandoned for the restored cluster"
    destroyed = [DestroyVm(vm=vm, reason=reason, after=keys(told)) for vm in seen.ours.values()]
    yield from (*told, *destroyed)
    if remembered and not seen.of(Role.DISCOVERY):
        reason = "else its first master would wait for those that are lost"
        yield ForgetCluster(cluster=name, reason=reason, after=keys((*told, *destroyed)))


def _refuse_elsewhere(facts: Facts, archive: Archive) -> None:
    """Raise `ConfigError` where a master answers at an address that the backup knows, and that no machine of ours has.

    Machines of this restoration are given the addresses of before, where these are static. As long as one of them tells no
    address it may be the one that answers, and nobody is asked.
    """
    seen = facts.seen
    masters = seen.of(Role.MASTER)
    if facts.folder.restoring and not facts.lives and any(vm.power is Power.ON and not vm.addresses for vm in masters):
        return
    known = {*seen.master_addresses, *(address for vm in seen.ours.values() for address in vm.addresses)}
    if found := facts.who_answers([address for address in archive.about.addresses if address not in known]):
        raise ConfigError(
            f"cluster {seen.cluster.name} lives: a master of it answers at {found}, as the backup knows, and this "
            "configuration knows no machine there. A restoration would make a second one of it. End it there first: power "
            "its machines off, or destroy it with the configuration that it was made with"
        )


def _left(names: Collection[str], facts: Facts) -> str:
    """Why nothing is made while these machines are there."""
    name = facts.seen.cluster.name
    if facts.folder.abandoning:
        return (
            f"{', '.join(names)}: left of cluster {name}, which a restoration was destroying when it was broken off. To go "
            f"on with that: {facts.remedies.restore_anew()}"
        )
    return (
        f"{', '.join(names)}: of cluster {name}, and not known to be lost: what runs there would go on beside the "
        "restored cluster. Power them on if it may come back; to destroy them first, restore with --abandon-old"
    )


def _afterwards(seen: Observation) -> Observation:
    """What is seen once all that is left is gone, and with a discovery machine all that it has told or kept to itself."""
    cluster = replace(seen.cluster, peers=(), reach={})
    kept = tuple(vm for vm in seen.vms if vm.name not in seen.ours)
    if seen.of(Role.DISCOVERY):
        return Observation(replace(cluster, discovery_address=None), kept)
    return Observation(cluster, kept, discovery_error=seen.discovery_error, discovery_refusal=seen.discovery_refusal)


def _made(
    desired: Desired, seen: Observation, facts: Facts, version: str, after: frozenset[str], wait: bool
) -> Iterator[Action]:
    """All machines: the one that begins with the snapshot, and once the cluster lives those that join it."""
    difference = compare(desired, seen)
    first = _first(desired, seen, difference)
    others = tuple(node for node in difference.missing if node != first)
    server = _once(server_actions(desired, seen, difference), after)
    carrier = replace(difference, missing=tuple(node for node in difference.missing if node == first))
    begun = creations(carrier, first, version, after=after | keys(server))
    begun += [StartVm(node=node, reason="it is not powered on") for node in difference.stopped if node != desired.discovery]
    restored = list(_restored(first, keys(begun)))
    forget = forget_nodes(desired, after=keys(restored))
    mint = list(_mint(desired, others, after=keys([forget])))
    joining = creations(replace(difference, missing=others), None, version, after=keys([forget, *mint]))
    made = [*begun, *joining]
    arrange = arrangement(seen, difference, after=keys((*server, *made))) if facts.arranges else ()
    looks = [it for it in awaits(desired, seen, [*server[:1], *made], wait) if it.key not in keys(restored)]
    masters = await_masters(desired, made, [*restored, *looks])
    yield from (*server, *begun, *restored, forget, *mint, *joining, *arrange, *looks, *masters)
    yield from (*scrubs(desired, seen), *left_over(desired.all, seen))


def _once(actions: Iterable[Action], before: frozenset[str]) -> tuple[Action, ...]:
    """The same actions, none of which begins until these are done."""
    return tuple(replace(action, after=action.after | before) for action in actions)


def _first(desired: Desired, seen: Observation, difference: Difference) -> Node:
    """The master that begins with the snapshot: the one that an earlier run has made for it, else the first that is missing.

    Raises `ConfigError` where neither is: it was destroyed between two runs, and the others wait for it in vain.
    """
    carriers = {vm.name for vm in seen.of(Role.MASTER) if vm.stamp and vm.stamp.carries_ca}
    found = [node for node in desired.masters if node.name in carriers] or difference.masters
    if not found:
        raise ConfigError(
            f"no machine of cluster {desired.cluster.name} can begin with the snapshot: the one that could is gone. To "
            f"begin the restoration anew: {desired.remedies.restore_anew()}"
        )
    return found[0]


def _restored(first: Node, after: frozenset[str]) -> Iterator[Action]:
    """The master is looked at while it waits for the snapshot: it may never come to that."""
    yield BringSnapshot(node=first, reason="its etcd begins with it", after=after)
    yield AwaitBoot(node=first, reason="the others join what it initialises", after=after)


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
