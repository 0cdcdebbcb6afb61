"""The target `acme`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib import resources
from typing import Any

from kube_provision_core import (
    PUBLISHER,
    RECEIVER,
    Boot,
    BootFragment,
    Cluster,
    File,
    Node,
    NodeStatus,
    Power,
    Role,
    Stamp,
    TargetDriver,
    TargetError,
    Vm,
    hookimpl,
    judge_addresses,
    task_digest,
    telling_os_errors,
)

from .config import AcmeConfig
from .machines import Machines

EMPTY = "#cloud-config\n{}\n"
"""Boot data without secrets, for machines that have booted."""

TASK_LIMIT = 1024 * 1024
"""Bytes. A folder holds any number of them; a hypervisor's channel will not."""


class Acme(TargetDriver):
    """Every hook may be called from several threads at once."""

    Config = AcmeConfig
    api_version = 1
    parallel = 16

    def __init__(self, config: Mapping[Role, AcmeConfig]) -> None:
        """No input or output here: whatever is needed is opened by the first hook that needs it."""
        self._config = config
        self._machines = Machines(config[Role.MASTER].acme_folder)

    @hookimpl
    def provision_vm(self, node: Node, boot: Boot) -> Vm:
        with self._changing(f"creating {node.name}", node.name):
            if self._machines.read(node.name) is None:
                known = {"stamp": node.stamp.document, "size": asdict(node.machine)}
                self._machines.create(node.name, known, self._config[node.role].acme_network)
            known = self._require_own(node.name, node.stamp)
            if not known.get("complete"):
                metadata = {"instance-id": boot.instance_id, "local-hostname": boot.hostname}
                self._machines.deliver(node.name, boot.user_data, metadata)
            self._machines.update(node.name, power="on")
            return self._look(node.name, None)

    @hookimpl
    def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
        with self._looking("looking for machines"):
            vms = [self._look(name, cluster) for name in self._machines.names()]
        return [vm for vm in vms if vm.name in cluster.names or (vm.stamp and vm.stamp.cluster == cluster.name)]

    @hookimpl
    def start_vm(self, vm: Vm) -> bool:
        with self._changing(f"starting {vm.name}", vm.name):
            self._require_own(vm.name, vm.stamp)
            self._machines.update(vm.name, power="on")
        return True

    @hookimpl
    def scrub_boot(self, vm: Vm) -> bool:
        with self._changing(f"scrubbing {vm.name}", vm.name):
            self._require_own(vm.name, vm.stamp)
            self._machines.replace_user_data(vm.name, EMPTY)
            self._machines.update(vm.name, scrubbed=True)
        return True

    @hookimpl
    def task_limit(self) -> int:
        return TASK_LIMIT

    @hookimpl
    def deliver_task(self, vm: Vm, task: bytes | None) -> bool:
        """A mailbox: what is put there waits, whether the machine runs or not, until it is taken away."""
        with self._changing(f"changing the task of {vm.name}", vm.name):
            if Stamp.of(self._require_own(vm.name, vm.stamp)["stamp"]) != vm.stamp:
                raise TargetError(f"{vm.name} is another machine than the one that was looked at; it is left as it is")
            if len(task or b"") > TASK_LIMIT:
                raise TargetError(f"{vm.name}: this task is larger than the {TASK_LIMIT} bytes that there is room for")
            self._machines.put_task(vm.name, task)
        return True

    @hookimpl
    def restamp_vm(self, vm: Vm, stamp: Stamp) -> bool:
        """In one step, as everything that is known of a machine."""
        with self._changing(f"stamping {vm.name}", vm.name):
            if Stamp.of(self._require_own(vm.name, vm.stamp)["stamp"]) not in (vm.stamp, stamp):
                raise TargetError(f"{vm.name} is another machine than the one that was looked at; it is left as it is")
            self._machines.update(vm.name, stamp=stamp.document)
        return True

    @hookimpl
    def destroy_vm(self, vm: Vm) -> bool:
        with self._changing(f"destroying {vm.name}", vm.name):
            if self._machines.read(vm.name) is not None:
                self._require_own(vm.name, vm.stamp)
                self._machines.delete(vm.name)
        return True

    @hookimpl
    def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
        folder = self._machines.folder
        return [f"acme_folder: {folder} is not a folder"] if folder.exists() and not folder.is_dir() else []

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        """The programs with which a machine publishes its stage, for `list_vms` to read without entering it, and receives
        the task that waits."""
        publish, receive = ((resources.files(__package__) / name).read_text() for name in ("publish", "receive"))
        return BootFragment(files=(File(PUBLISHER, publish, mode=0o755), File(RECEIVER, receive, mode=0o755)))

    @contextmanager
    def _looking(self, what: str) -> Iterator[None]:
        """Expected trouble becomes one line: what was done, where, and what is wrong with it."""
        with telling_os_errors(f"{what} in {self._machines.folder}"):
            yield

    @contextmanager
    def _changing(self, what: str, name: str) -> Iterator[None]:
        with self._looking(what), self._machines.lock(name):
            yield

    def _require_own(self, name: str, stamp: Stamp | None) -> dict[str, Any]:
        """What is known of a machine of ours; looked at right before anything is changed."""
        known = self._machines.read(name) or {}
        found = Stamp.of(known.get("stamp"))
        if found is None or stamp is None or (found.cluster, found.cluster_id) != (stamp.cluster, stamp.cluster_id):
            raise TargetError(f"{name} is no machine of this cluster; it is left as it is: choose another name")
        return known

    def _look(self, name: str, cluster: Cluster | None) -> Vm:
        known = self._machines.read(name) or {}
        judged = judge_addresses(known.get("addresses", ()), cluster) if cluster else None
        return Vm(
            name=name,
            id=str(self._machines.folder / name),
            power=Power(known.get("power", "on")),
            stamp=Stamp.of(known.get("stamp")),
            addresses=judged.usable if judged else (),
            notice=judged.notice if judged else "",
            status=NodeStatus.parse(self._machines.published(name)),
            scrubbed=known.get("scrubbed", False),
            complete=known.get("complete", not known),
            where=str(self._machines.folder / name),
            task=task_digest(self._machines.task(name)),
        )
