"""What `upgrade` refuses, before anything is touched: a way that Kubernetes does not go, and a cluster that is not well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from ..cluster import Living
from ..cluster.advice import Remedies
from ..cluster.desired import Desired
from ..cluster.observe import Observation
from ..cluster.skew import EXACT, minor, numbers
from ..cluster.versions import StaticPod, behind
from ..contract.errors import ConfigError, UnreadyError
from ..contract.machines import Node, Power, Role
from ..engine.facts import Facts
from ..engine.verb import Options

FRESH = timedelta(hours=24)
"""Age of a backup with which an upgrade may begin."""


@dataclass(frozen=True)
class Standing:
    """How far a cluster is on its way to a version. Observed, never remembered, so that whoever was broken off goes on."""

    version: str
    living: Living
    control_planes: Mapping[str, Sequence[StaticPod]]

    @property
    def arrived(self) -> bool:
        """By what kubeadm has written down, which it does once the first master's control plane is there."""
        return self.living.version == self.version

    def is_done(self, node: Node) -> bool:
        """A master's kubelet comes last."""
        known = self.living.node(node.name)
        lags = node.role is Role.MASTER and behind(self.control_planes.get(node.name, ()), self.version)
        return bool(known and known.kubelet == self.version and not lags)

    def has_begun(self, master: str) -> bool:
        return any(pod.version == self.version for pod in self.control_planes.get(master, ()))

    @property
    def begun(self) -> bool:
        """By a master at least."""
        return any(map(self.has_begun, self.control_planes))

    @cached_property
    def following(self) -> frozenset[str]:
        """Masters whose etcd takes part; empty where nobody was asked."""
        quorum = self.living.quorum
        return frozenset(member.name for member in quorum.following) if quorum else frozenset()

    def is_cordoned(self, node: Node) -> bool:
        """By us."""
        known = self.living.node(node.name)
        return bool(known and known.cordoned)


def refuse_vague(desired: Desired, remedies: Remedies) -> None:
    """A minor alone would mean another version on every node whose repository has got a newer patch meanwhile."""
    version = desired.cluster.kubernetes_version
    if not EXACT.fullmatch(version):
        raise ConfigError(
            f"kubernetes_version: {version} is no exact version, which an upgrade needs: name one of its patches, as in "
            f"{remedies.upgrade(f'{version}.PATCH')}"
        )


def refuse_way(standing: Standing, cluster: str) -> None:
    """https://kubernetes.io/releases/version-skew-policy/: forward, and minor by minor."""
    runs, version = standing.living.version, standing.version
    if not EXACT.fullmatch(runs):
        raise ConfigError(f"cluster {cluster} runs Kubernetes {runs}, which is no release: nobody knows the way from there")
    if numbers(version) < numbers(runs):
        raise ConfigError(f"kubernetes_version: cluster {cluster} runs {runs}, and Kubernetes does not go back to {version}")
    if _minors(runs, version) > 1:
        major, next_minor = numbers(runs)[0], numbers(runs)[1] + 1
        raise ConfigError(
            f"kubernetes_version: cluster {cluster} runs {runs}, and minors come one after another: upgrade it to a patch "
            f"of {major}.{next_minor} first, and then to {version}"
        )


def refuse_unwell(standing: Standing, seen: Observation, nodes: Sequence[Node], remedies: Remedies) -> None:
    """Every node has to be well, also those whose turn comes last, or never: their pods are wanted where others' move."""
    problems = {node.name: line for node in nodes if (line := _trouble(standing, seen, node, remedies))}
    if problems:
        unready = all(_is_unready(standing, seen, name) for name in problems)
        raise (UnreadyError if unready else ConfigError)(*problems.values())
    if seen.discovery is None:
        why = seen.discovery_error or "there is no discovery service"
        raise seen.discovery_refusal(f"{why}. Masters leave its list before they stop serving; nothing was changed")


def _trouble(standing: Standing, seen: Observation, node: Node, remedies: Remedies) -> str:
    vm, known = seen.ours[node.name], standing.living.node(node.name)
    if vm.power is not Power.ON:
        return f"{node.name} does not run: start it, which {remedies.provision()} does"
    if known is None:
        return f"{node.name} is no node of the cluster yet: {remedies.provision()}"
    if _is_unready(standing, seen, node.name):
        return f"{node.name} is not Ready: {known.message or 'Kubernetes does not say why'}. More: {remedies.why(node.name)}"
    return next(_strange_versions(standing, node, known.kubelet), "")


def _is_unready(standing: Standing, seen: Observation, name: str) -> bool:
    """It runs, and may become Ready by itself."""
    known = standing.living.node(name)
    return bool(seen.ours[name].power is Power.ON and known and not known.ready)


def _strange_versions(standing: Standing, node: Node, kubelet: str) -> Iterator[str]:
    """Nobody but this verb changes versions: what is elsewhere than on the way has come there by something else."""
    found = [("kubelet", kubelet), *((pod.name, pod.version) for pod in standing.control_planes.get(node.name, ()))]
    for part, version in found:
        what = f"{node.name}: its {part} is at {version or 'a version that it does not tell'}"
        if not EXACT.fullmatch(version):
            yield f"{what}, which is no release"
        elif numbers(version) > numbers(standing.version):
            other = "another tool has upgraded it, or it was made with the newest patch of its minor"
            yield f"{what}, and Kubernetes does not go back to {standing.version}: {other}"
        elif _minors(version, standing.version) > 1:
            yield f"{what}, and would skip a minor: upgrade to a patch of the next one first"


def refuse_without_quorum(standing: Standing, masters: Sequence[Node]) -> None:
    """Those whose turn was before are back by then. Two voters never go on without one of them, which is told instead."""
    quorum = standing.living.quorum
    if quorum is None or len(quorum.voters) < 3:
        return
    following = set(standing.following)
    for node in masters:
        if len(following - {node.name}) < quorum.needed:
            raise UnreadyError(f"{node.name}: while it is upgraded etcd would have no quorum: {quorum}")
        following.add(node.name)


def refuse_removed_apis(standing: Standing, facts: Facts, options: Options) -> None:
    """Asked of the masters where another minor is about to come, and not while one of them is on its way there.

    https://kubernetes.io/docs/reference/using-api/deprecation-guide/
    """
    comes = minor(standing.living.version) != minor(standing.version)
    if options.removed_apis or not comes or standing.begun:
        return
    used = facts.removed_apis(standing.version)
    if used:
        raise ConfigError(
            f"clients of the cluster use what {minor(standing.version)} does not serve: {', '.join(used)}. Have them use "
            "what is served, or go on with --allow-removed-apis"
        )


def refuse_workers_first(standing: Standing, masters: Sequence[Node]) -> None:
    """No kubelet may be newer than an API server."""
    late = [node.name for node in masters if not standing.is_done(node)]
    if late or not standing.arrived:
        what = f"{', '.join(late) or 'the cluster'} {'are' if len(late) > 1 else 'is'} not at {standing.version} yet"
        raise ConfigError(f"workers come after all masters, and {what}: upgrade without --workers-only or --pool")


def refuse_half_way(standing: Standing, masters: Sequence[Node], remedies: Remedies) -> None:
    """One upgrade after the other: a master whose kubelet is behind its API server may not be what its restart expects."""
    late = [node.name for node in masters if not standing.is_done(node)]
    if late:
        raise ConfigError(
            f"{', '.join(late)} {'are' if len(late) > 1 else 'is'} not at {standing.version}, which the cluster runs: end "
            f"the upgrade of Kubernetes first: {remedies.upgrade(standing.version)}"
        )


def refuse_without_backup(facts: Facts, options: Options) -> None:
    """A fresh one, as the cluster itself tells: of what was written since, an upgrade that goes wrong may cost all."""
    if not options.backup:
        return
    last = facts.backup.value
    if last is None or not last.within(FRESH, datetime.now(UTC)):
        what = f"the last backup is of {last.created:%Y-%m-%d %H:%M} UTC" if last else "no backup was made of the cluster"
        raise ConfigError(f"{what}: make one ({facts.remedies.backup()}), or have one of your own and say --no-backup")


def _minors(old: str, new: str) -> int:
    """How many lie between; of another major too many."""
    (major, last), (next_major, first) = numbers(old)[:2], numbers(new)[:2]
    return first - last if major == next_major else 99


def disturbances(living: Living, nodes: Sequence[Node], *, masters: bool) -> Iterator[str]:
    """What a user should know of an upgrade of these nodes beforehand. `masters`: of some masters, too."""
    count = sum(node.role is Role.MASTER for node in nodes)
    if masters and count < 3:
        yield f"of {count} master(s) none can be spared: nothing serves the API while one of them starts its own anew"
    if len(living.nodes) == 1:
        yield f"{living.nodes[0].name} is the only node, and is not drained: its pods go on while its kubelet restarts"
    kept = [it.name for it in living.nodes if not it.schedulable and not it.cordoned]
    if kept:
        yield f"{', '.join(kept)}: cordoned by somebody else, and left so"
    strangers = sorted({it.name for it in living.nodes} - {node.name for node in nodes})
    if strangers:
        yield f"{', '.join(strangers)}: no machine of this cluster's, and left as it is"
