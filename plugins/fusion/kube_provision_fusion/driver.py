"""The driver: one hook a paragraph. vmrun is looked for at the first hook that needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from kube_provision_core import (
    API_VERSION,
    Boot,
    BootError,
    BootFragment,
    Cluster,
    GuestInfo,
    Image,
    Node,
    Power,
    Role,
    Stamp,
    TargetDriver,
    TargetError,
    Template,
    Vm,
    address_shortages,
    hookimpl,
    interface_name,
    node_card,
)

from . import attached, note, preflight, scrubbing, tasks
from .baking.templates import Templates
from .cloning import Cloner
from .config import FusionConfig
from .folder_lock import locked
from .host import Host, this_host
from .machines import Found, Machines
from .making import Maker
from .observer import Observer
from .power import PowerSwitch
from .template import real
from .vmrun import LIMITS, Limits, Vmrun
from .vmware import Vmware

PARALLEL = 6
"""One machine is cloned while a few start; the rest would wait for the same disk."""

LOCK_TIMEOUT = 5 * 3600.0
"""Seconds to wait for whoever else works on a machine: it may be in the queue for its clone."""


@cache
def _node_part(interface: str) -> BootFragment:
    """`interface`: the one in the nodes' network, of several."""
    publisher = files(__package__).joinpath("files", "publish").read_text()
    return GuestInfo.node_part("fusion", publisher.replace("@INTERFACE@", interface))


class Fusion(TargetDriver):
    """VMware Fusion on macOS, VMware Workstation on Linux: machines are clones of a template on this computer."""

    Config = FusionConfig
    api_version = API_VERSION
    parallel = PARALLEL
    suggested_sizes: ClassVar[Mapping[Role, Mapping[str, int]]] = {
        Role.MASTER: {"count": 1, "cpu": 2, "mem": 4},
        Role.WORKER: {"count": 1, "cpu": 2, "mem": 3},
        Role.DISCOVERY: {"cpu": 1, "mem": 1},
    }
    answer_limit = 30 * 1024  # of guestinfo's 64 KiB: every look at the machines reads it again

    def __init__(self, config: Mapping[Role, FusionConfig], host: Host | None = None, limits: Limits = LIMITS) -> None:
        self._config, self._host = config, host or this_host()
        self._machines = Machines(config[Role.MASTER].vm_dir, self._host)
        self._vmrun = Vmrun(config[Role.MASTER].vmrun, self._host, limits)
        self._power = PowerSwitch(self._host, self._vmrun)
        cloner = Cloner(self._host, self._vmrun)
        vmware = Vmware(self._host, limits, self._vmrun, self._machines, cloner, self._power)
        self._maker, self._templates = Maker(vmware, config), Templates(vmware, config)
        self._observer = Observer(self._host, self._machines, self._vmrun)

    @property
    def node_interfaces(self) -> Mapping[Role, str]:
        return {role: interface_name(node_card(it.networks)) for role, it in self._config.items() if it.networks}

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        for shortage in address_shortages([node], self._config[node.role].networks or (), cluster=cluster):
            raise BootError(shortage)
        return _node_part(node.interface)

    @hookimpl
    def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
        return preflight.problems(self._host, self._config, self._vmrun, machines)

    @hookimpl
    def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
        return self._observer.look(cluster)

    @hookimpl
    def provision_vm(self, node: Node, boot: Boot) -> Vm:
        """Taken over where it exists with our stamp, else made."""
        folder = self._machines.folder(node.name)
        _refuse_foreign(node, self._machines.find(node.name))
        with locked(folder, LOCK_TIMEOUT, create=True) as lock:
            assert lock is not None, "the folder was made"
            found = self._machines.find(node.name)
            _refuse_foreign(node, found)
            if found and found.complete:
                self._power_on(found)
                return Vm(found.name, str(found.file), Power.ON, found.stamp, where=str(folder))
            file = self._maker.make(node, boot, found, lock)
            self._power.start(file)
        return Vm(node.name, str(file), Power.ON, node.stamp, where=str(folder))

    @hookimpl
    def start_vm(self, vm: Vm) -> bool:
        with self._held(vm) as (found, _):
            self._power_on(_whole(vm, found))
        return True

    @hookimpl
    def scrub_boot(self, vm: Vm) -> bool:
        with self._held(vm) as (found, _):
            machine = _whole(vm, found)
            note.write(machine.folder, replace(machine.noted, scrubbed=True))
            scrubbing.scrub(self._vmrun, machine.file, running=self._power.runs(machine.file))
        return True

    @hookimpl
    def restamp_vm(self, vm: Vm, stamp: Stamp) -> bool:
        """In the note: a machine that runs would write the stamp that it has in its .vmx over another one when it stops."""
        with self._held(vm) as (found, _):
            machine = _whole(vm, found, stamp)
            note.write(machine.folder, replace(machine.noted, stamp=stamp))
        return True

    @hookimpl
    def task_limit(self) -> int:
        return GuestInfo.TASK_LIMIT

    @hookimpl
    def deliver_task(self, vm: Vm, task: bytes | None) -> bool:
        with self._held(vm) as (found, _):
            file = _whole(vm, found).file
            tasks.deliver(self._vmrun, file, task, running=self._power.runs(file))
        return True

    @hookimpl
    def destroy_vm(self, vm: Vm) -> bool:
        """Nothing to do is fine; another stamp than the given one is not."""
        with self._held(vm) as (found, lock):
            if lock is None or found is None:
                return True
            noted = _checked(vm, found).noted
            self._refuse_to_cut_off(found.folder)
            self._power.stop(found.file)
            attached.spare(found.file, noted.disks)
            note.write(found.folder, replace(noted, complete=False))
            self._power.delete(found.file, lock)
        return True

    @hookimpl
    def list_templates(self, roles: frozenset[Role]) -> Sequence[Template]:
        return self._templates.look(roles)

    @hookimpl
    def bake_image(self, template: Template, image: Image) -> bool:
        self._templates.begin(template, image)
        return True

    @hookimpl
    def finish_image(self, template: Template) -> bool:
        self._templates.finish(template)
        return True

    @contextmanager
    def _held(self, vm: Vm) -> Iterator[tuple[Found | None, int | None]]:
        """What there is of the machine, and the lock on its folder, while that is held; None without a folder."""
        file = self._machines.file(vm.name)
        if Path(vm.id) != file:  # an id is a path, and not every path may be deleted
            raise TargetError(f"{vm.id}: this machine does not lie where kube-provision makes machines; it is left alone")
        with locked(file.parent, LOCK_TIMEOUT) as lock:
            yield None if lock is None else self._machines.find(vm.name), lock

    def _power_on(self, found: Found) -> None:
        if not self._power.runs(found.file):
            if found.note and found.note.scrubbed:  # the machine wrote its old boot data back when it stopped
                scrubbing.clean_file(found.file)
            tasks.restore(found.file)
            self._power.start(found.file)

    def _refuse_to_cut_off(self, folder: Path) -> None:
        """Clones, and templates, may build on the machine's disks: somebody has made a template of it."""
        cut_off = attached.builders(folder.parent, folder)
        templates = {config.template for config in self._config.values()}
        cut_off += sorted(f"template {file}" for file in templates if real(file).parent == real(folder))
        if cut_off:
            raise TargetError(
                f"{folder}: its disks are needed by {', '.join(cut_off)}; it is left alone. Destroy or move those first"
            )


def _refuse_foreign(node: Node, found: Found | None) -> None:
    if found and (found.stamp is None or found.stamp.cluster_id != node.stamp.cluster_id):
        raise TargetError(
            f"{found.folder}: what lies here bears the name {node.name} and is not one of cluster {node.stamp.cluster}'s "
            "machines; it is left alone. Rename it, or choose another name for the cluster"
        )


def _whole(vm: Vm, found: Found | None, *others: Stamp) -> Found:
    """The machine as it is now, with nothing of its making left to do. `others`: stamps that will do as well."""
    machine = _checked(vm, found, *others)
    if not machine.complete:
        raise TargetError(f"{vm.id}: this machine is only half there; the next run makes it anew")
    return machine


def _checked(vm: Vm, found: Found | None, *others: Stamp) -> Found:
    """Read again just before something is done to the machine."""
    if found is None:
        raise TargetError(f"{vm.id}: this machine is gone")
    if found.stamp is None or found.stamp not in (vm.stamp, *others):
        raise TargetError(f"{found.folder}: its stamp is not the one that was observed; it is left alone")
    return found
