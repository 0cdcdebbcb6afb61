"""What is known about a cluster now, node by node. A discovery service that is silent is part of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .. import registry as plugins
from ..cluster.observe import natural_order
from ..cluster.skew import of_kubelets
from ..config.specification import Change
from ..contract.machines import Node, Power, Role, Vm
from ..engine.facts import Facts, Known
from ..engine.session import Session
from ..engine.sight import is_overdue, silent, usually
from ..folder.kubeconfig import API_PORT
from . import backup
from .certificates import warnings
from .planning import look
from .pools import refuse_strange_pool

SSH_PORT, ETCD_PORT = 22, 2379


@dataclass(frozen=True)
class Reach:
    """A TCP port of a machine that this host, unlike the machine's neighbours, reaches elsewhere than at its address."""

    service: str
    """`ssh`, `api-server`, `etcd`, `discovery`; empty for a port that the user alone knows."""
    port: int
    """The machine's own."""
    host: str
    host_port: int
    """With `host`, where this host reaches it."""


@dataclass(frozen=True)
class NodeStatusRow:
    """One machine that exists or should."""

    name: str
    role: str
    power: str
    """`on`, `off`, `suspended`, or `missing`."""
    address: str
    stage: str
    """The stage that the node last told of, with its state; empty where it has told nothing yet."""
    error: str
    scrubbed: bool
    """The target no longer holds its secrets."""
    drifted: bool
    """It was made from another configuration than today's."""
    changes: tuple[Change, ...]
    """What has changed since, by keys. One without a key: something that its stamp does not tell."""
    healthy: bool | None
    """Masters: whether discovery sees its API server answering. None: nobody could tell."""
    ready: bool | None
    """Whether Kubernetes itself calls the node ready. None: nobody could tell, or it is no node."""
    version: str
    """Of its kubelet, such as `1.37.1`; empty where nobody could tell, or it is no node."""
    cause: str
    """What a person understands by `error`, where the cause was recognised."""
    reach: tuple[Reach, ...]
    """Empty where this host reaches the machine at its address, as the machine's neighbours do."""
    text: str
    """How it goes, in a line: what hinders it and what helps, or what it does; empty where there is nothing to say."""


@dataclass(frozen=True)
class Status:
    cluster: str
    cluster_id: str
    initialised: bool
    discovery_address: str
    discovery_error: str
    nodes: tuple[NodeStatusRow, ...]
    folder: str | None
    """Where it is: a path, or a place in a store."""
    kubeconfig: Path | None
    kubernetes_error: str
    """Why nobody could tell which nodes are ready; empty where a master told, and where there is surely no cluster yet."""
    hints: tuple[str, ...]


def status(session: Session, pool: str = "") -> Status:
    """Look once. `pool`: of workers, whose machines alone are told of.

    Raises `TargetError` when the target cannot be asked, `FolderError` when the cluster is another's, and `ConfigError` for
    a pool that has no machine and is to have none.
    """
    found = standing(session, look(session))
    pools = {node.name: Role(node.role) for node in found.nodes}
    refuse_strange_pool(pool, pools.values(), found.cluster)
    return replace(found, nodes=tuple(node for node in found.nodes if pool in ("", pools[node.name].pool)))


def standing(session: Session, facts: Facts) -> Status:
    """As it was seen already."""
    seen, folder = facts.seen, facts.folder
    kubeconfig = folder.kubeconfig
    notice = filter(None, [session.hook.discovery_notice(cluster=seen.cluster)])
    return Status(
        cluster=seen.cluster.name,
        cluster_id=folder.cluster_id if folder.saved else "",
        initialised=facts.lives,
        discovery_address=seen.cluster.discovery_address or "",
        discovery_error=seen.discovery_error,
        nodes=_rows(session, facts),
        folder=folder.where if folder.saved else None,
        kubeconfig=kubeconfig if kubeconfig and kubeconfig.exists() else None,
        kubernetes_error=facts.kubernetes_error,
        hints=(*facts.hints, *_versions(facts), *warnings(facts), *backup.warnings(facts), *notice),
    )


def _versions(facts: Facts) -> Iterator[str]:
    """Where the configuration, or nodes, are at another Kubernetes than the cluster."""
    yield from facts.drift
    if isinstance(facts.readiness, Known):
        told = facts.readiness.value
        yield from facts.unapplied(told.kubeadm)
        yield from of_kubelets(told.nodes, told.version, facts.remedies)


def _rows(session: Session, facts: Facts) -> tuple[NodeStatusRow, ...]:
    seen = facts.seen
    wanted = {node.name: node for node in session.desired.all}
    services = {SSH_PORT: "ssh", API_PORT: "api-server", ETCD_PORT: "etcd"}
    port: int | None = plugins.declared(session.discovery, "port", None, int | None)
    if port:
        services[port] = "discovery"
    names = sorted(wanted.keys() | seen.ours.keys(), key=natural_order)
    return tuple(_row(name, wanted.get(name), facts, services) for name in names)


def _row(name: str, node: Node | None, facts: Facts, services: Mapping[int, str]) -> NodeStatusRow:
    seen, member = facts.seen, facts.node(name)
    vm, changes = seen.ours.get(name), facts.changes(node) if node else ()
    stamp = vm.stamp if vm else None
    role = stamp.role if stamp else node.role if node else None
    told = vm.status if vm else None
    return NodeStatusRow(
        name=name,
        role=role.value if role else "",
        power=vm.power.value if vm else "missing",
        address=(vm.address if vm else None) or "",
        stage=f"{told.stage} {told.state}" if told else "",
        error=told.error if told else "",
        scrubbed=vm.scrubbed if vm else False,
        drifted=bool(changes),
        changes=changes,
        healthy=seen.healthy(name) if role == "master" else None,
        ready=member.ready if member else None,
        version=member.kubelet if member else "",
        cause=told.cause if told else "",
        reach=tuple(_reach(vm, services)) if vm else (),
        text=_news(name, facts),
    )


def _news(name: str, facts: Facts) -> str:
    vm, remedies = facts.seen.ours.get(name), facts.remedies
    if vm is None or vm.power is not Power.ON:
        return facts.outlived(name)
    if vm.status and vm.status.finished:
        return "; ".join(filter(None, (facts.given(name), facts.emptied(name))))
    if vm.status is None:
        more = f". More: {remedies.why(name)}" if is_overdue(vm) else ""
        return f"{(vm.notice if vm.address is None else '') or silent(vm)}{more}"
    return remedies.trouble(vm.status, name) if vm.status.reason else f"{vm.status.progress}{usually(vm.status)}"


def _reach(vm: Vm, services: Mapping[int, str]) -> Iterator[Reach]:
    for port, at in sorted(vm.reach.items()):
        yield Reach(services.get(port, ""), port, at.host, at.port)
