"""The target driver `nspawn`: hosts on a hypervisor of tests.

Found by its entry point, like any other, where the folder `site` is on the path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from machines.hypervisor import STATUS, TASK, Record, Remote
from machines.nspawn import CHANNEL

from kube_provision_core import (
    PUBLISHER,
    RECEIVER,
    Boot,
    BootFragment,
    Cluster,
    DriverConfig,
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

PUBLISH = f"#!/bin/sh\nset -eu\ncat >{CHANNEL}/{STATUS}.part\nmv {CHANNEL}/{STATUS}.part {CHANNEL}/{STATUS}\n"

RECEIVE = f"#!/bin/sh\nset -eu\ntest ! -e {CHANNEL}/{TASK} || exec cat {CHANNEL}/{TASK}\n"
TASK_LIMIT = 48 * 1024
"""Bytes; what the narrowest of our targets carries, so that what fits here fits there."""


class NspawnConfig(DriverConfig):
    hypervisor_socket: str = option(help="Where the hypervisor listens.")
    static_addresses: list[str] = option([], per_role=True, help="Of a role's machines, in the order of their indices.")


class Nspawn:
    Config = NspawnConfig
    parallel: ClassVar[int] = 8
    address_timeout: ClassVar[float] = 20.0
    shares_kernel: ClassVar[bool] = True

    def __init__(self, config: Mapping[Role, NspawnConfig]) -> None:
        self._hypervisor = Remote(config[Role.MASTER].hypervisor_socket)
        self.fixed_addresses = {role: keys.static_addresses for role, keys in config.items() if keys.static_addresses}

    @hookimpl
    def provision_vm(self, node: Node, boot: Boot) -> Vm:
        fixed = dict(enumerate(self.fixed_addresses.get(node.role, ()), 1))
        self._hypervisor.create(node.name, node.stamp, boot, fixed.get(node.index))
        self._hypervisor.start(node.name)
        return next(_vm(record) for record in self._records() if record.name == node.name)

    @hookimpl
    def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
        return [_vm(it) for it in self._records() if it.stamp.cluster == cluster.name or it.name in cluster.names]

    @hookimpl
    def start_vm(self, vm: Vm) -> bool:
        self._hypervisor.start(vm.name)
        return True

    @hookimpl
    def scrub_boot(self, vm: Vm) -> bool:
        self._hypervisor.scrub(vm.name)
        return True

    @hookimpl
    def task_limit(self) -> int:
        return TASK_LIMIT

    @hookimpl
    def deliver_task(self, vm: Vm, task: bytes | None) -> bool:
        if vm.stamp is None or len(task or b"") > TASK_LIMIT:
            raise TargetError(f"{vm.name} is not ours, or its task is larger than {TASK_LIMIT} bytes")
        self._hypervisor.deliver(vm.id, vm.stamp, task)
        return True

    @hookimpl
    def restamp_vm(self, vm: Vm, stamp: Stamp) -> bool:
        if vm.stamp is None:
            raise TargetError(f"{vm.name} is not ours; it is left alone")
        self._hypervisor.restamp(vm.id, vm.stamp, stamp)
        return True

    @hookimpl
    def destroy_vm(self, vm: Vm) -> bool:
        if vm.stamp is None:
            raise TargetError(f"{vm.name} is not ours; it is left alone")
        self._hypervisor.destroy(vm.id, vm.stamp.cluster_id)
        return True

    @hookimpl
    def render_boot(self, node: Node) -> BootFragment:
        return BootFragment(files=(File(PUBLISHER, PUBLISH, mode=0o755), File(RECEIVER, RECEIVE, mode=0o755)))

    def _records(self) -> list[Record]:
        records: list[Record] = self._hypervisor.records()
        return records


def _vm(record: Record) -> Vm:
    return Vm(
        name=record.name,
        id=record.id,
        power=record.power,
        stamp=record.stamp,
        addresses=(record.address,) if record.power is Power.ON else (),
        status=NodeStatus.parse(record.status) if record.status else None,
        scrubbed=record.scrubbed,
        where=f"hypervisor/{record.name}",
        task=task_digest(record.task),
    )
