"""A target that exists in memory: the smallest driver that keeps every promise. The contract suite is measured on it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from kube_provision_core import (
    PUBLISHER,
    RECEIVER,
    Boot,
    BootFragment,
    Cluster,
    DriverConfig,
    Endpoint,
    FailureDomain,
    File,
    Node,
    NodeStatus,
    Power,
    Role,
    Stamp,
    TargetError,
    Vm,
    hookimpl,
    option,
    task_digest,
)

TASK_LIMIT = 48 * 1024
"""Bytes; what the narrowest of our targets carries."""


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
    pools: dict[str, str] = field(default_factory=dict)
    """What the configuration says of a machine's `memory_pool`, by its name; for drivers that note it."""
    disks: dict[str, str | None] = field(default_factory=dict)
    """Disks that somebody has made, with the name of the machine that they are attached to."""
    tasks: dict[str, bytes] = field(default_factory=dict)
    """Tasks that wait, by the name of the machine that they wait for."""
    domains: Sequence[FailureDomain] = ()
    """That machines of each role spread over."""
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

    @property
    def failure_domains(self) -> Mapping[Role, Sequence[FailureDomain]]:
        return dict.fromkeys(Role, self.world.domains)

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
        domain = node.failure_domain.name if node.failure_domain else ""
        vm = Vm(node.name, f"memory-{node.name}", Power.OFF, node.stamp, where=f"memory/{node.name}", failure_domain=domain)
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
                    task=task_digest(self.world.tasks.get(vm.name, b"")),
                )
                for vm in found
            ]

    @staticmethod
    def _concerns(vm: Vm, cluster: Cluster) -> bool:
        return vm.name in cluster.names or (vm.stamp is not None and vm.stamp.cluster == cluster.name)

    @hookimpl
    def start_vm(self, vm: Vm) -> bool:
        with self.world.lock:
            self.world.vms[vm.name] = replace(self._own(vm), power=Power.ON)
        return True

    def _own(self, vm: Vm) -> Vm:
        """The machine as it is now."""
        found = self.world.vms.get(vm.name)
        if found is None or found.stamp is None or found.stamp != vm.stamp:
            raise TargetError(f"{vm.name} is not ours; it is left alone")
        return found

    @hookimpl
    def scrub_boot(self, vm: Vm) -> bool:
        with self.world.lock:
            self.world.boot_data[vm.name] = "#cloud-config\n{}\n"
            self.world.vms[vm.name] = replace(self.world.vms[vm.name], scrubbed=True)
        return True

    @hookimpl
    def task_limit(self) -> int:
        return TASK_LIMIT

    @hookimpl
    def deliver_task(self, vm: Vm, task: bytes | None) -> bool:
        with self.world.lock:
            self._own(vm)
            if len(task or b"") > TASK_LIMIT:
                raise TargetError(f"{vm.name}: this task is larger than the {TASK_LIMIT} bytes that there is room for")
            if task is None:
                self.world.tasks.pop(vm.name, None)
            else:
                self.world.tasks[vm.name] = task
        return True

    @hookimpl
    def restamp_vm(self, vm: Vm, stamp: Stamp) -> bool:
        with self.world.lock:
            found = self.world.vms.get(vm.name)
            if found is None or found.stamp is None or found.stamp not in (vm.stamp, stamp):
                raise TargetError(f"{vm.name} is not ours; it is left alone")
            self.world.vms[vm.name] = replace(found, stamp=stamp)
        return True

    @hookimpl
    def destroy_vm(self, vm: Vm) -> bool:
        with self.world.lock:
            found = self.world.vms.get(vm.name)
            if found is None:
                return True
            if found.stamp is None or vm.stamp is None or found.stamp.cluster_id != vm.stamp.cluster_id:
                raise TargetError(f"{vm.name} is not ours; it is left alone")
            self._detach_disks(vm.name)
            self.world.tasks.pop(vm.name, None)
            del self.world.vms[vm.name]
        return True

    def _detach_disks(self, name: str) -> None:
        self.world.disks = {disk: None if user == name else user for disk, user in self.world.disks.items()}

    @hookimpl
    def arrange_vms(self, vms: Sequence[Vm]) -> bool:
        self.world.arranged = frozenset(vm.name for vm in vms)
        return True

    @hookimpl
    def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
        return [f"{node.name}: too large" for node, _ in machines if node.machine.cpu > 128]

    @hookimpl
    def render_boot(self, node: Node) -> BootFragment:
        return BootFragment(
            files=(File(PUBLISHER, "#!/bin/sh\ncat >/dev/null\n", mode=0o755), File(RECEIVER, "#!/bin/sh\n", mode=0o755))
        )

    @hookimpl
    def close(self) -> None:
        pass
