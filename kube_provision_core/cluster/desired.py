"""The machines that a configuration asks for: their names, sizes and stamps. Names are deterministic."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..contract.machines import Cluster, Machine, Node, Role, Stamp
from .advice import Remedies

if TYPE_CHECKING:
    from ..config import Config


STAND_IN = "255.255.255.255"
"""The discovery address with which boot data is rendered before the real one is known: none is longer."""


@dataclass(frozen=True)
class Desired:
    """What should exist."""

    cluster: Cluster
    masters: tuple[Node, ...]
    workers: tuple[Node, ...]
    """Of all pools, one pool after the other; those called `workers` come first."""
    discovery: tuple[Node, ...]
    """The machines of the discovery service; none where an existing service is used."""
    remedies: Remedies

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Everything but discovery machines."""
        return self.masters + self.workers

    @property
    def all(self) -> tuple[Node, ...]:
        return self.discovery + self.nodes

    def without(self, nodes: Collection[Node]) -> Desired:
        """The same, but for these masters and workers."""
        masters = tuple(node for node in self.masters if node not in nodes)
        return replace(self, masters=masters, workers=tuple(node for node in self.workers if node not in nodes))


def to_render(cluster: Cluster, discovery_machines: int = 1) -> Cluster:
    """The cluster as boot data is told of it. `discovery_machines`: how many there are to be; 0 for an existing service."""
    others = cluster.discovery_others
    unknown = (STAND_IN,) * (discovery_machines - 1 - len(others))
    first = cluster.discovery_address or STAND_IN
    return replace(cluster, discovery_address=first, discovery_others=(*others, *unknown))


def desire(
    config: Config,
    cluster_id: str,
    discovery_address: str | None,
    discovery_machines: int,
    ca: str,
    *,
    by_majority: bool,
    interfaces: Mapping[Role, str],
    addresses: Mapping[Role, Sequence[str]],
) -> Desired:
    """What `config` asks for. `discovery_address` is an existing service's; for one that is None are so many machines, or,
    where there are to be none, the masters, of which it takes a majority where `by_majority` says so. `ca`: see
    `Cluster.ca`. `interfaces`: those of nodes, as the target names them. `addresses`: those that machines of a role are
    made with.
    """
    core, prototype = config.core, partial(_prototype, config, cluster_id, interfaces)
    nodes = [
        node
        for role, count in core.counts.items()
        for node in _numbered(prototype(role, core.label(role)), range(1, count + 1))
    ]
    masters = tuple(node for node in nodes if node.role is Role.MASTER)
    workers = tuple(node for node in nodes if node.role is not Role.MASTER)
    servers = _servers(prototype(Role.DISCOVERY, f"{core.discovery}-"), discovery_machines) if discovery_machines else ()
    on_masters = discovery_address is None and not discovery_machines
    cluster = Cluster(
        name=core.name,
        id=cluster_id,
        kubernetes_version=core.kubernetes_version,
        names=frozenset(node.name for node in (*nodes, *servers)),
        nodes={node.name: node.role for node in nodes},
        pod_subnet=core.pod_subnet,
        service_subnet=core.service_subnet,
        domain=core.cluster_domain,
        proxy_port=core.proxy_port,
        ca=ca,
        discovery_on_masters=on_masters,
        discovery_by_majority=on_masters and by_majority,
        fixed_addresses=dict(_fixed(nodes, addresses)),
        discovery_address=discovery_address,
        shares_kernel=config.shares_kernel,
    )
    return Desired(cluster, masters, workers, servers, Remedies(core.name, config.options))


def _fixed(nodes: Iterable[Node], addresses: Mapping[Role, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        known = addresses.get(node.role, ())
        if node.index <= len(known):
            yield node.name, known[node.index - 1]


def _servers(first: Node, count: int) -> tuple[Node, ...]:
    """The first is called what it is called where it is the only one: their number may grow."""
    return (first, *_numbered(first, range(2, count + 1)))


def _numbered(prototype: Node, numbers: Iterable[int]) -> Iterator[Node]:
    return (replace(prototype, name=f"{prototype.name}-{number}", index=number) for number in numbers)


def _prototype(config: Config, cluster_id: str, interfaces: Mapping[Role, str], role: Role, label: str) -> Node:
    """What all machines of a role have in common; their specification takes its time."""
    core = config.by_role[role]
    machine = Machine(core.cpu, core.mem, core.boot_disk_size, tuple(disk.size for disk in core.further_disks))
    stamp = Stamp(config.core.name, cluster_id, role, config.spec(role), made_of=config.made_of(role))
    name = f"{config.core.host_prefix}{label}{config.core.name}"
    return Node(name, role, 0, machine, stamp, interface=interfaces.get(role, ""), swaps=bool(core.swap))
