"""What is left of a cluster that is restored: refused, or taken away first, so that it never goes on beside the new one.

Where masters alone are restored workers are not in the way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..cluster.observe import Observation, locate
from ..contract.errors import ConfigError
from ..contract.machines import Power, Role, Vm
from ..engine.facts import Facts
from ..engine.plan import AbandonCluster, Action, DestroyVm, ForgetCluster, keys
from ..engine.verb import Options

if TYPE_CHECKING:
    from ..backup import Archive


def lost(seen: Observation, options: Options) -> Mapping[str, Vm]:
    """The machines whose place those of the restoration take, by name."""
    return {vm.name: vm for vm in seen.of(Role.MASTER)} if options.only else seen.ours


def cleared(facts: Facts, sha256: str, options: Options) -> Iterator[Action]:
    """What takes away all that is left of what is lost. Raises `ConfigError` where it lives, or is not to be abandoned.

    What a restoration has made, and not brought to life, may be abandoned though its API server answers: of that the folder
    tells already. Of anything else it tells first that it goes, since it may be broken off in the midst of that.
    """
    seen, name = facts.seen, facts.seen.cluster.name
    failed = facts.folder.restoring and not facts.lives
    if not failed:
        _refuse_living(facts, options)
    if options.only:
        _refuse_without_the_rest(facts)
    gone = lost(seen, options)
    if gone and (not options.abandon_old or _forgets_workers(facts, options)):
        raise ConfigError(_left(sorted(gone), facts, options))
    remembered = seen.discovery and (seen.discovery.cluster_id or seen.discovery.initialising)
    told: tuple[Action, ...] = ()
    if (gone or remembered) and not failed:
        reason = "a run that is broken off before it begins anew is found again"
        told = (AbandonCluster(cluster=name, sha256=sha256, masters_only=bool(options.only), reason=reason),)
    reason = "it is abandoned for the restored cluster"
    destroyed = [DestroyVm(vm=vm, reason=reason, after=keys(told)) for vm in gone.values()]
    yield from (*told, *destroyed)
    if remembered and not any(vm.name in gone for vm in seen.of(Role.DISCOVERY)):
        reason = "else its first master would wait for those that are lost"
        yield ForgetCluster(cluster=name, reason=reason, after=keys((*told, *destroyed)))


def _refuse_living(facts: Facts, options: Options) -> None:
    """Raise `ConfigError` where a master answers, and for masters alone where etcd may have a quorum, too."""
    if facts.answering:
        raise ConfigError(_lives(facts, f"{facts.answering} answers"))
    if not options.only:
        return
    for name, leader in facts.leaders.items():
        if isinstance(leader, Exception):
            raise ConfigError(
                f"{name} is not off, and does not say whether etcd has lost its quorum: {leader}. Power it off, and run "
                "again"
            )
        if leader:
            raise ConfigError(_lives(facts, f"etcd of {name} follows a leader, and so a quorum of it"))


def _lives(facts: Facts, seen: str) -> str:
    return (
        f"cluster {facts.seen.cluster.name} lives: {seen}. {_second(facts)} What it lacks is made by: "
        f"{facts.remedies.provision()}"
    )


def _second(facts: Facts) -> str:
    return (
        f"A restoration would make a second one of it. To try the backup beside it: {facts.remedies.verify()}, or restore "
        "it from a host that reaches nothing of this cluster, in a network that does not either."
    )


def _refuse_without_the_rest(facts: Facts) -> None:
    """Masters alone are restored for workers that go on, and for a discovery service that can be told to forget the others.

    Raises `ConfigError`, and `DiscoveryError`.
    """
    seen = facts.seen
    if not seen.of(Role.WORKER):
        whole = replace(facts.remedies, masters_only=False).restore()
        raise ConfigError(f"cluster {seen.cluster.name} has no worker that would go on. To restore all of it: {whole}")
    if seen.discovery is None and (seen.discovery_error or seen.of(Role.DISCOVERY)):
        why = seen.discovery_error or f"{seen.of(Role.DISCOVERY)[0].name} tells no address: is it powered on?"
        raise seen.discovery_refusal(f"discovery cannot be told to forget the masters of before: {why}. Nothing was changed")


def refuse_elsewhere(facts: Facts, archive: Archive) -> None:
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
            f"configuration knows no machine there. {_second(facts)} If it is to go, end it there first: power its machines "
            "off, or destroy it with the configuration that it was made with"
        )


def _forgets_workers(facts: Facts, options: Options) -> bool:
    """All of it is asked for while masters alone are being restored, and there are workers, which are to stay."""
    return facts.folder.masters_only and not options.only and bool(facts.seen.of(Role.WORKER))


def _left(names: Collection[str], facts: Facts, options: Options) -> str:
    """Why nothing is made while these machines are there."""
    name, folder, remedies = facts.seen.cluster.name, facts.folder, facts.remedies
    if _forgets_workers(facts, options):
        return (
            f"{', '.join(names)}: of cluster {name}, whose masters alone are being restored. To go on with that: "
            f"{remedies.restore_anew() if folder.abandoning else remedies.restore()}"
        )
    if folder.abandoning:
        anew = replace(remedies, masters_only=folder.masters_only and bool(options.only)).restore_anew()
        return (
            f"{', '.join(names)}: left of cluster {name}, which a restoration was destroying when it was broken off. To go "
            f"on with that: {anew}"
        )
    workers = "" if options.only or not facts.seen.of(Role.WORKER) else "; its workers stay with --masters-only"
    return (
        f"{', '.join(names)}: of cluster {name}, and not known to be lost: what runs there would go on beside the "
        f"restored cluster. Power them on if it may come back; to destroy them first, restore with --abandon-old{workers}"
    )


def afterwards(seen: Observation, gone: Collection[str]) -> Observation:
    """What is seen once these are gone, and discovery remembers nothing; with its own machine goes all that it has told."""
    kept = tuple(vm for vm in seen.vms if vm.name not in gone)
    servers = seen.of(Role.DISCOVERY)
    if servers and all(vm.name in gone for vm in servers):
        return Observation(locate(replace(seen.cluster, discovery_address=None), kept), kept)
    return replace(seen, cluster=locate(seen.cluster, kept), vms=kept, discovery=None)
