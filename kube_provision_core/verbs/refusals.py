"""What verbs refuse: wishes that contradict what exists, and plans that would rest on what nobody can know."""

from __future__ import annotations

from collections.abc import Collection

from ..boot import api_server, hardened
from ..cluster import Living
from ..cluster.desired import Desired
from ..cluster.observe import Observation
from ..cluster.skew import adopted, minor
from ..config.core import SUPPORTED_MINORS
from ..contract.errors import ConfigError, DiscoveryError
from ..contract.machines import Power, Role
from ..engine.facts import Facts


def refuse_strangers(names: Collection[str], known: Collection[str], cluster: str, kind: str) -> None:
    """For names that none of its nodes, masters or machines (`kind`) has. `known`: all of them, in the order of telling."""
    has = f"its {kind}s are {', '.join(known)}" if known else "it has none"
    problems = [f"{name}: no {kind} of cluster {cluster}; {has}" for name in sorted(set(names) - set(known))]
    if problems:
        raise ConfigError(*problems)


def refuse_foreign(seen: Observation) -> None:
    problems = [
        f"{vm.where or vm.name}: this machine is not one of cluster {seen.cluster.name}'s and bears a name that the cluster "
        "needs; it is left alone. Rename it, or choose another --name or --host-prefix"
        for vm in seen.foreign
    ]
    if problems:
        raise ConfigError(*problems)


def refuse_another_discovery(desired: Desired, seen: Observation) -> None:
    """New machines would look for the cluster where it is not known."""
    own = seen.of(Role.DISCOVERY)
    if own and desired.cluster.discovery_on_masters:
        raise ConfigError(
            f"cluster {seen.cluster.name} was made with a discovery machine of its own, {own[0].name}, and its machines "
            "know no other service: take out what makes its masters the service"
        )
    if own and not desired.discovery and seen.cluster.discovery_address not in {vm.address for vm in own}:
        raise ConfigError(
            f"cluster {seen.cluster.name} has a discovery machine of its own, {own[0].name}: name no other service. If it "
            f"is no longer needed, remove it: {desired.remedies.destroy(own[0].name)}"
        )


def refuse_service_elsewhere(facts: Facts) -> None:
    """Of a cluster whose masters are the service: new machines would ask one that has never heard of it.

    One that knows the cluster, or has machines of its own there, is the cluster's, whatever an earlier run had begun.
    """
    seen = facts.seen
    known = seen.of(Role.DISCOVERY) or (seen.discovery and seen.discovery.cluster_id == seen.cluster.id)
    if facts.folder.carrier and seen.ours and not seen.cluster.discovery_on_masters and not known:
        raise ConfigError(
            f"discovery: cluster {seen.cluster.name} was made with masters that are its discovery service, and its machines "
            "know no other: put back the discovery, and its keys, that it was made with"
        )


def refuse_another_role(desired: Desired, seen: Observation) -> None:
    """A machine is never taken for a master, or for a worker of a pool, that it was not made as."""
    made = {vm.name: vm.stamp.role for vm in seen.ours.values() if vm.stamp}
    problems = [
        f"{node.name}: was made as {made[node.name]}, and the configuration asks for a {node.role} of that name; choose "
        f"other names, or remove it: {desired.remedies.destroy(node.name)}"
        for node in desired.all
        if made.get(node.name, node.role) is not node.role
    ]
    if problems:
        raise ConfigError(*problems)


def refuse_fewer_servers(desired: Desired, seen: Observation) -> None:
    """Discovery machines that go one after the other may take the quorum of those that are left with them."""
    servers = [vm.name for vm in seen.of(Role.DISCOVERY)]
    beyond = [name for name in servers if name not in {node.name for node in desired.discovery}]
    if desired.discovery and beyond:
        raise ConfigError(
            f"cluster {seen.cluster.name} has {', '.join(beyond)} for discovery, and {len(desired.discovery)} machine(s) "
            "are asked for: their number grows, and never shrinks. Ask for as many as there were, or remove all, which are "
            f"made anew by the next run: {desired.remedies.destroy(*servers)}"
        )


def refuse_fewer(desired: Desired, seen: Observation) -> None:
    """Which machines go is for `destroy` to be told."""
    refuse_fewer_servers(desired, seen)
    surplus = sorted(seen.ours.keys() - {node.name for node in desired.all} - {vm.name for vm in seen.of(Role.DISCOVERY)})
    if surplus:
        raise ConfigError(
            f"cluster {seen.cluster.name} has {len(surplus)} more machine(s) than asked for: {', '.join(surplus)}. "
            f"To remove them: {desired.remedies.destroy(*surplus)}"
        )


def refuse_blind(desired: Desired, seen: Observation, adds: bool, initialised: bool) -> None:
    """New machines need discovery. A server of our own may still be booting, as long as the cluster is not initialised.

    Where masters are the service none answers before one of them has initialised the cluster: see `first_master`.
    """
    booting = bool(desired.discovery or desired.cluster.discovery_on_masters) and not initialised
    if adds and seen.discovery_error and not booting:
        raise seen.discovery_refusal(
            f"{seen.discovery_error}. New machines could not find their cluster; nothing was changed"
        )


def refuse_lost_servers(desired: Desired, seen: Observation, lost: Collection[object]) -> None:
    """Discovery machines that are made anew would wait in vain for those that are left to let them in.

    `lost`: those that do not exist. One that is off may come back, and counts. Where none has ever finished its boot they
    have founded nothing yet. The first one alone may be the only one that there ever was.
    """
    there = seen.of(Role.DISCOVERY)
    working = [vm.name for vm in there if vm.status and vm.status.finished]
    away = len(lost) + len(there) - len(working)
    if working and seen.discovery is None and away > (len(desired.discovery) - 1) // 2:
        alone = working == [desired.discovery[0].name]
        grows = "If they are still to be made, see to it that this one runs and answers first. " if alone else ""
        why = f" ({seen.discovery_error})" if seen.discovery_error else ""
        raise DiscoveryError(
            f"{', '.join(working)} of cluster {seen.cluster.name} does not answer{why}, and {away} of its "
            f"{len(desired.discovery)} discovery machines are not there, or have not finished their boot: without a "
            f"majority they cannot go on. {grows}If they were lost, remove what is left, and run again, which makes all "
            f"anew: {desired.remedies.destroy(*(vm.name for vm in there))}"
        )


def refuse_taking_quorum(seen: Observation, names: Collection[str]) -> None:
    """Of several discovery machines a majority has to work on: one that is off, or has never finished its boot, does not.

    So it is with masters that are discovery by majority, of which one that is gone and still wanted may still count, and
    one counts for those that stay only where discovery calls it healthy.
    """
    on_masters = seen.cluster.discovery_by_majority
    servers = seen.of(Role.MASTER if on_masters else Role.DISCOVERY)
    working = {vm.name for vm in servers if vm.power is Power.ON and vm.status and vm.status.finished}
    healthy = {master.name for master in seen.discovery.masters} if on_masters and seen.discovery else working
    going = {vm.name for vm in servers} & set(names)
    wanted = [name for name, role in seen.cluster.nodes.items() if role is Role.MASTER] if on_masters else []
    count = max(len(servers), len(wanted))
    if len(going) < len(servers) and going & working and len((working & healthy) - going) <= count // 2:
        all_of_it = "the whole cluster" if on_masters else "all: what they know is written again then"
        raise ConfigError(
            f"--node {', '.join(sorted(going))}: without them discovery of cluster {seen.cluster.name} has no quorum left. "
            f"Remove one at a time, once a run has made the one before anew, or {all_of_it}"
        )


def refuse_unknown_minor(desired: Desired, living: Living) -> None:
    """New machines get the cluster's Kubernetes, which must be one that boot data can be written for."""
    if adopted(desired.cluster, living.version) and minor(living.version) not in SUPPORTED_MINORS:
        raise ConfigError(
            f"cluster {desired.cluster.name} runs Kubernetes {living.version}, and this version of kube-provision makes "
            f"machines for {', '.join(SUPPORTED_MINORS)} alone: it can add none until the cluster runs one of these"
        )


def refuse_other_encryption(facts: Facts) -> None:
    """A cluster keeps what it was made with: masters that have the keys and masters that have none would not read each
    other's Secrets."""
    wanted, has, name = facts.encrypts, facts.folder.encryption is not None, facts.seen.cluster.name
    if wanted and not has:
        raise ConfigError(
            f"encryption_at_rest: cluster {name} was made without it, and what has begun cannot be given it: set it to "
            "false. A cluster that is made anew has it from its first Secret on"
        )
    if has and not wanted:
        raise ConfigError(
            f"encryption_at_rest: Secrets of cluster {name} are encrypted, and masters without the keys would not read "
            "them: set it to true. A cluster keeps what it was made with"
        )


def refuse_unread_files(facts: Facts, living: Living) -> None:
    """What API servers are told to read is decided when a cluster is initialised: a master that is made without one of the
    files, since its key was taken away, would never serve."""
    read = living.kubeadm.api_server_paths & api_server.FILES.keys()
    missing = sorted(read - api_server.paths(facts.core(Role.MASTER))) if read else []
    if missing and facts.core(Role.MASTER).hardened and hardened.AUTHENTICATION not in read:
        raise ConfigError(
            f"hardened: cluster {facts.seen.cluster.name} was made without it, and its API servers go by what kubeadm has "
            "kept since: set it to false. A cluster that is made anew has it from the beginning"
        )
    if missing:
        raise ConfigError(
            *(
                f"{api_server.FILES[path]}: API servers of cluster {facts.seen.cluster.name} read {path}, which masters are "
                "given for this key: one that is made without it would not start. Set the key again, or take what names the "
                "file out of the ConfigMap kubeadm-config in kube-system"
                for path in missing
            )
        )


def refuse_restoring(facts: Facts) -> None:
    """A new cluster would take the place of the one that a restoration has not yet brought back.

    While that destroys what was there before the cluster counts as initialised still: what answers says whether it lives.
    """
    name, restore = facts.seen.cluster.name, "restore --masters-only" if facts.folder.masters_only else "restore"
    if facts.folder.restoring and not facts.lives:
        raise ConfigError(f"cluster {name} is being restored, and does not live yet: run {restore} with the same file")
    if facts.folder.abandoning and not facts.answering:
        raise ConfigError(
            f"cluster {name} is being restored, and what was left of it may be destroyed in part: run {restore} "
            "--abandon-old with the same file, or start a master of it that is left"
        )


def refuse_other_networking(desired: Desired, living: Living) -> None:
    """A node's range of the pods' network never changes, and every node looks for API servers on that port of its own."""
    ours = {"pod_subnet": desired.cluster.pod_subnet, "service_subnet": desired.cluster.service_subnet}
    for key, network in living.kubeadm.networks.items():
        if network != ours[key]:
            raise ConfigError(
                f"{key}: cluster {desired.cluster.name} was made with {network}, and new machines would have {ours[key]}. "
                f"Set it to {network}: a cluster keeps what it was made with"
            )
    host, _, port = living.kubeadm.endpoint.rpartition(":")
    if host == "localhost" and port != str(desired.cluster.proxy_port):
        raise ConfigError(
            f"proxy_port: nodes of cluster {desired.cluster.name} look for an API server on their own port {port}, and new "
            f"machines would listen on {desired.cluster.proxy_port}. Set it to {port}: a cluster keeps what it was made with"
        )
