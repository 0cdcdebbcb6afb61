"""What is known about a cluster now, node by node. A discovery service that is silent is part of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .control_plane import Readiness, ask_readiness
from .kubeconfig import API_PORT
from .model import Node, Vm
from .observe import Observation, natural_order, observe
from .provision import is_initialised
from .run import readiness_hints
from .session import Session, check_identity

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
    healthy: bool | None
    """Masters: whether discovery sees its API server answering. None: nobody could tell."""
    ready: bool | None
    """Whether Kubernetes itself calls the node ready. None: nobody could tell, or it is no node."""
    cause: str
    """What a person understands by `error`, where the cause was recognised."""
    reach: tuple[Reach, ...]
    """Empty where this host reaches the machine at its address, as the machine's neighbours do."""


@dataclass(frozen=True)
class Status:
    cluster: str
    cluster_id: str
    initialised: bool
    discovery_address: str
    discovery_error: str
    nodes: tuple[NodeStatusRow, ...]
    folder: Path | None
    kubeconfig: Path | None
    kubernetes_error: str
    """Why nobody could tell which nodes are ready; empty where a master told, and where the cluster is not initialised."""
    hints: tuple[str, ...]


def status(session: Session) -> Status:
    """Look once. Raises `TargetError` when the target cannot be asked, `FolderError` when the cluster is another's."""
    session.require("target", "list_vms")
    seen = observe(session.hook, session.desired.cluster)
    check_identity(session, seen)
    folder, kubeconfig = session.folder, session.folder.path / "kubeconfig"
    initialised = is_initialised(seen, folder.initialised)
    readiness = ask_readiness(seen, folder.pki) if initialised else Readiness()
    return Status(
        cluster=seen.cluster.name,
        cluster_id=folder.cluster_id if folder.saved else "",
        initialised=initialised,
        discovery_address=seen.cluster.discovery_address or "",
        discovery_error=seen.discovery_error,
        nodes=_rows(session, seen, readiness),
        folder=folder.path if folder.saved else None,
        kubeconfig=kubeconfig if kubeconfig.exists() else None,
        kubernetes_error=readiness.error,
        hints=readiness_hints(session, seen, readiness),
    )


def _rows(session: Session, seen: Observation, readiness: Readiness) -> tuple[NodeStatusRow, ...]:
    wanted = {node.name: node for node in session.desired.all}
    services = {SSH_PORT: "ssh", API_PORT: "api-server", ETCD_PORT: "etcd"}
    if port := getattr(session.driver("discovery"), "port", None):
        services[port] = "discovery"
    names = sorted(wanted.keys() | seen.ours.keys(), key=natural_order)
    return tuple(_row(name, wanted.get(name), seen, readiness, services) for name in names)


def _row(
    name: str, node: Node | None, seen: Observation, readiness: Readiness, services: Mapping[int, str]
) -> NodeStatusRow:
    vm = seen.ours.get(name)
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
        drifted=bool(node and stamp and stamp.spec != node.stamp.spec),
        healthy=seen.healthy(name) if role == "master" else None,
        ready=readiness.of(name),
        cause=told.cause if told else "",
        reach=tuple(_reach(vm, services)) if vm else (),
    )


def _reach(vm: Vm, services: Mapping[int, str]) -> Iterator[Reach]:
    for port, at in sorted(vm.reach.items()):
        yield Reach(services.get(port, ""), port, at.host, at.port)
