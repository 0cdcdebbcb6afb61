"""Observe what exists: machines on the target, the record in discovery. Nothing is remembered from earlier runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from ..contract.errors import ConfigError, DiscoveryError, KubeProvisionError
from ..contract.machines import Cluster, Discovery, Power, Role, Vm
from ..registry import Hooks


@dataclass(frozen=True)
class Observation:
    """What a run knows before it plans."""

    cluster: Cluster
    """With the discovery service's address and the machines' addresses filled in, as far as they are known."""
    vms: tuple[Vm, ...] = ()
    discovery: Discovery | None = None
    """None: there is no discovery service yet, or it could not be asked."""
    discovery_error: str = ""
    """Why it could not be asked."""
    discovery_fault: DiscoveryError | None = field(default=None, compare=False, repr=False)
    """What says so."""

    @cached_property
    def ours(self) -> dict[str, Vm]:
        """The cluster's machines by name."""
        return {vm.name: vm for vm in self.vms if vm.stamp and vm.stamp.cluster == self.cluster.name}

    @property
    def without_leftovers(self) -> Observation:
        """As if creations that were cut short had never begun: their machines are still to be made."""
        return replace(self, vms=tuple(vm for vm in self.vms if vm.complete))

    @property
    def foreign(self) -> tuple[Vm, ...]:
        """Machines that bear a name we need and are not this cluster's."""
        return tuple(vm for vm in self.vms if vm.name in self.cluster.names and vm.name not in self.ours)

    def of(self, role: Role) -> tuple[Vm, ...]:
        """The cluster's machines of a role, by name; of `Role.WORKER` workers of every pool."""
        names = sorted(self.ours, key=natural_order)
        return tuple(vm for name in names if (vm := self.ours[name]).stamp and role in (vm.stamp.role, vm.stamp.role.kind))

    @property
    def servers(self) -> tuple[Vm, ...]:
        """The cluster's own machines on which discovery runs."""
        return self.of(Role.MASTER if self.cluster.discovery_on_masters else Role.DISCOVERY)

    @property
    def only_master(self) -> str:
        """Name of the master without which the cluster has none; empty where there are others."""
        masters = self.of(Role.MASTER)
        return masters[0].name if len(masters) == 1 else ""

    def discovery_refusal(self, text: str) -> KubeProvisionError:
        """What ends a run since discovery could not be asked: bad input where it is that, and retryable where that is."""
        fault = self.discovery_fault
        refusal = (ConfigError if isinstance(fault, ConfigError) else DiscoveryError)(text)
        refusal.retryable = fault is None or fault.retryable
        return refusal

    def healthy(self, name: str) -> bool | None:
        """Whether discovery sees a master's API server answer; None where it could not be asked."""
        return any(master.name == name for master in self.discovery.masters) if self.discovery else None

    @property
    def master_addresses(self) -> tuple[str, ...]:
        """Where the living cluster may answer: healthy masters as discovery sees them, then the machines themselves."""
        healthy = [master.address for master in self.discovery.masters] if self.discovery else []
        observed = [vm.address for vm in self.of(Role.MASTER) if vm.address]
        return tuple(dict.fromkeys([*healthy, *observed]))


def observe(hook: Hooks, cluster: Cluster) -> Observation:
    """Look once at the target and, where its address is known, at discovery.

    `cluster.discovery_address` is an existing service's address or None; the address of an observed discovery machine takes
    its place. Raises `TargetError`; a discovery service that does not answer is an observation, not a failure.
    """
    vms = tuple(hook.list_vms(cluster=cluster))
    cluster = locate(cluster, vms)
    if cluster.discovery_address is None:
        return Observation(cluster, vms)
    try:
        return Observation(cluster, vms, hook.discover_masters(cluster=cluster))
    except DiscoveryError as error:
        booting = _booting(cluster, vms)
        fault = DiscoveryError(booting) if booting else error
        return Observation(cluster, vms, discovery_error=str(fault), discovery_fault=fault)


def _booting(cluster: Cluster, vms: tuple[Vm, ...]) -> str:
    """Why a server of the cluster's own does not answer yet: nothing that a person would have to mend. Else empty."""
    servers = Observation(cluster, vms).servers
    names = [vm.name for vm in servers if not (vm.status and vm.status.finished)]
    if cluster.discovery_on_masters and len(names) < len(servers):
        return ""
    return f"{names[0]} has not finished its boot, and does not answer yet" if names else ""


def locate(cluster: Cluster, vms: tuple[Vm, ...]) -> Cluster:
    """The cluster with the addresses that its machines tell, and all of their names."""
    ours = [vm for vm in vms if vm.stamp and vm.stamp.cluster == cluster.name and vm.address]
    serving = Role.MASTER if cluster.discovery_on_masters else Role.DISCOVERY
    servers = [vm for vm in ours if vm.stamp and vm.stamp.role is serving]
    known = [str(vm.address) for vm in sorted(servers, key=lambda vm: (vm.power is not Power.ON, natural_order(vm.name)))]
    given = None if cluster.discovery_on_masters else cluster.discovery_address
    address = given or next(iter(known), None)
    others = tuple(it for it in known if it != address) if address in known else ()
    peers = tuple(sorted(vm.address for vm in ours if vm.address and vm.stamp and vm.stamp.role is not Role.DISCOVERY))
    reach = {vm.address: vm.reach for vm in ours if vm.address and vm.reach}
    nodes = _nodes(cluster, vms)
    return replace(cluster, discovery_address=address, discovery_others=others, peers=peers, reach=reach, nodes=nodes)


def _nodes(cluster: Cluster, vms: tuple[Vm, ...]) -> dict[str, Role]:
    """Those that are to be, with those that there are, be they wanted any more or not."""
    wanted = {name: role for name, role in cluster.nodes.items() if name in cluster.names}
    stamps = {vm.name: vm.stamp for vm in vms if vm.stamp and vm.stamp.cluster == cluster.name}
    return wanted | {name: stamp.role for name, stamp in stamps.items() if stamp.role is not Role.DISCOVERY}


def natural_order(name: str) -> tuple[str, int]:
    """`w-prod-2` before `w-prod-10`."""
    stem, _, index = name.rpartition("-")
    return (stem, int(index)) if index.isdigit() else (name, 0)
