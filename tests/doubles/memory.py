"""A target that exists in memory: the smallest driver that keeps every promise. The contract suite is measured on it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from kube_provision_core import (
    PUBLISHER,
    Boot,
    BootFragment,
    Cluster,
    DriverConfig,
    Endpoint,
    File,
    Node,
    NodeStatus,
    Power,
    Role,
    TargetError,
    Vm,
    hookimpl,
    option,
)


@dataclass
class World:
    """What a hypervisor would hold. Several drivers may look at one."""

    vms: dict[str, Vm] = field(default_factory=dict)
    boot_data: dict[str, str] = field(default_factory=dict)
    breaks: set[str] = field(default_factory=set)
    """Names of machines whose creation fails half-way."""
    addresses: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, NodeStatus] = field(default_factory=dict)
    reach: dict[str, dict[int, Endpoint]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    looks: int = 0
    arranged: frozenset[str] = frozenset()
    """Names of the machines that were arranged among themselves last."""

    def address(self, name: str) -> str:
        """Where nobody listens, and a refusal is quick."""
        return self.addresses.setdefault(name, f"127.254.0.{len(self.addresses) + 1}")


class MemoryConfig(DriverConfig):
    memory_pool: str = option("default", per_role=True, help="Name of a pool that does not matter.")


class MemoryTarget:
    Config = MemoryConfig
    parallel: ClassVar[int] = 4
    address_timeout: ClassVar[float] = 5.0

    def __init__(self, config: Mapping[Role, MemoryConfig], world: World | None = None) -> None:
        self.world = world or World()

    @hookimpl
    def provision_vm(self, node: Node, boot: Boot) -> Vm:
        with self.world.lock:
            vm = self.world.vms.get(node.name)
            if vm is None:
                vm = self._create(node, boot)
            elif vm.stamp is None or vm.stamp.cluster_id != node.stamp.cluster_id:
                raise TargetError(f"{node.name} exists and is not ours; it is left alone")
            elif not vm.complete:
                vm = self._create(node, boot)
            vm = self.world.vms[node.name] = replace(vm, power=Power.ON)
            return vm

    def _create(self, node: Node, boot: Boot) -> Vm:
        vm = Vm(node.name, f"memory-{node.name}", Power.OFF, node.stamp, where=f"memory/{node.name}")
        if node.name in self.world.breaks:
            raise TargetError(f"creating {node.name}: no space left")
        self.world.boot_data[node.name] = boot.user_data
        return vm

    @hookimpl
    def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
        with self.world.lock:
            self.world.looks += 1
            found = [vm for vm in self.world.vms.values() if self._concerns(vm, cluster)]
            return [
                replace(
                    vm,
                    addresses=(self.world.address(vm.name),),
                    status=self.world.statuses.get(vm.name),
                    reach=self.world.reach.get(vm.name, {}),
                )
                for vm in found
            ]

    @staticmethod
    def _concerns(vm: Vm, cluster: Cluster) -> bool:
        return vm.name in cluster.names or (vm.stamp is not None and vm.stamp.cluster == cluster.name)

    @hookimpl
    def scrub_boot(self, vm: Vm) -> bool:
        with self.world.lock:
            self.world.boot_data[vm.name] = "#cloud-config\n{}\n"
            self.world.vms[vm.name] = replace(self.world.vms[vm.name], scrubbed=True)
        return True

    @hookimpl
    def destroy_vm(self, vm: Vm) -> bool:
        with self.world.lock:
            found = self.world.vms.get(vm.name)
            if found is None:
                return True
            if found.stamp is None or vm.stamp is None or found.stamp.cluster_id != vm.stamp.cluster_id:
                raise TargetError(f"{vm.name} is not ours; it is left alone")
            del self.world.vms[vm.name]
        return True

    @hookimpl
    def arrange_vms(self, vms: Sequence[Vm]) -> bool:
        self.world.arranged = frozenset(vm.name for vm in vms)
        return True

    @hookimpl
    def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
        return [f"{node.name}: too large" for node, _ in machines if node.machine.cpu > 128]

    @hookimpl
    def render_boot(self, node: Node) -> BootFragment:
        return BootFragment(files=(File(PUBLISHER, "#!/bin/sh\ncat >/dev/null\n", mode=0o755),))

    @hookimpl
    def close(self) -> None:
        pass
