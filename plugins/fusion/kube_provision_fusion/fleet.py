"""The machines of a run: made, taken over, scrubbed and destroyed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from kube_provision_core import Boot, Node, Power, Role, Stamp, TargetError, Vm

from . import attached, machines, note, scrubbing, settings, tasks, template, vmx
from .cloning import Cloner, Origin
from .config import CloneType, FusionConfig
from .disks import GIB, DiskManager, capacity, disks, free_units
from .folder_lock import locked
from .host import Host
from .machines import Found, Machines
from .note import Note
from .power import PowerSwitch
from .vmrun import Vmrun
from .vmx import Vmx

LOCK_TIMEOUT = 5 * 3600.0
"""Seconds to wait for whoever else works on a machine: it may be in the queue for its clone."""


class Fleet:
    """Thread-safe. Methods raise `TargetError`."""

    def __init__(
        self,
        config: Mapping[Role, FusionConfig],
        host: Host,
        machines: Machines,
        vmrun: Callable[[], Vmrun],
        cloner: Cloner,
        power: PowerSwitch,
    ) -> None:
        self._config, self._host, self._machines, self._vmrun = config, host, machines, vmrun
        self._cloner, self._power = cloner, power

    def provision(self, node: Node, boot: Boot) -> Vm:
        """The machine of that name, powered on: taken over where it exists with our stamp, else made."""
        folder = self._machines.folder(node.name)
        _refuse_foreign(node, self._machines.find(node.name))
        with locked(folder, LOCK_TIMEOUT, create=True) as lock:
            assert lock is not None, "the folder was made"
            found = self._machines.find(node.name)
            _refuse_foreign(node, found)
            if found and found.complete:
                return self._take_over(found)
            self._make(node, boot, found, lock)
            file = self._machines.file(node.name)
            self._power.start(file)
        return Vm(node.name, str(file), Power.ON, node.stamp, where=str(folder))

    def start(self, vm: Vm) -> None:
        file = self._own_file(vm)
        with locked(file.parent, LOCK_TIMEOUT) as lock:
            self._take_over(_whole(vm, None if lock is None else self._machines.find(vm.name)))

    def scrub(self, vm: Vm) -> None:
        file = self._own_file(vm)
        with locked(file.parent, LOCK_TIMEOUT) as lock:
            found = _whole(vm, None if lock is None else self._machines.find(vm.name))
            stamp = _check_stamp(vm, found)
            note.write(file.parent, replace(found.note or Note(vm.name, stamp, complete=True), scrubbed=True))
            scrubbing.scrub(self._vmrun(), file, running=self._power.runs(file))

    def deliver(self, vm: Vm, task: bytes | None) -> None:
        file = self._own_file(vm)
        with locked(file.parent, LOCK_TIMEOUT) as lock:
            found = _whole(vm, None if lock is None else self._machines.find(vm.name))
            _check_stamp(vm, found)
            tasks.deliver(self._vmrun(), file, task, running=self._power.runs(file))

    def restamp(self, vm: Vm, stamp: Stamp) -> None:
        """In the note: a machine that runs would write the stamp that it has in its .vmx over another one when it stops."""
        file = self._own_file(vm)
        with locked(file.parent, LOCK_TIMEOUT) as lock:
            found = None if lock is None else self._machines.find(vm.name)
            found = _whole(vm, found, stamp)
            note.write(file.parent, replace(found.note or Note(vm.name, stamp, complete=True), stamp=stamp))

    def destroy(self, vm: Vm) -> None:
        """Nothing to do is fine; another stamp than the given one is not."""
        file = self._own_file(vm)
        with locked(file.parent, LOCK_TIMEOUT) as lock:
            found = None if lock is None else self._machines.find(vm.name)
            if lock is None or found is None:
                return
            stamp = _check_stamp(vm, found)
            noted = found.note or Note(vm.name, stamp, complete=True)
            self._refuse_to_cut_off(file.parent)
            self._power.stop(file)
            attached.spare(file, noted.disks)
            note.write(file.parent, replace(noted, complete=False))
            self._power.delete(file, lock)

    def _refuse_to_cut_off(self, folder: Path) -> None:
        """Clones, and templates, may build on the machine's disks: somebody has made a template of it."""
        cut_off = attached.builders(folder.parent, folder)
        templates = {config.template for config in self._config.values()}
        cut_off += sorted(f"template {file}" for file in templates if template.real(file).parent == template.real(folder))
        if cut_off:
            raise TargetError(
                f"{folder}: its disks are needed by {', '.join(cut_off)}; it is left alone. Destroy or move those first"
            )

    # --- making ----------------------------------------------------------------------------------------------------

    def _make(self, node: Node, boot: Boot, leftover: Found | None, lock: int) -> None:
        """Removes what it has begun when it fails; a run that is killed leaves a note instead."""
        folder, file = self._machines.folder(node.name), self._machines.file(node.name)
        if leftover:
            self._clear(leftover)
        try:
            note.write(folder, Note(node.name, node.stamp, complete=False))
            self._cloner.clone(self._vmrun(), _origin(self._config[node.role]), file, node.name, lock)
            self._prepare(node, boot, file, lock)
            note.write(folder, Note(node.name, node.stamp, complete=True, disks=_disks_of(file)))
        except TargetError:
            with suppress(TargetError):
                machines.erase(folder)
            raise

    def _clear(self, leftover: Found) -> None:
        """Its note stays, and is needed until all is gone: it says which disks the machine was made with."""
        self._power.stop(leftover.file)
        attached.spare(leftover.file, leftover.note.disks if leftover.note else None)
        machines.clear(leftover.folder)

    def _prepare(self, node: Node, boot: Boot, file: Path, lock: int) -> None:
        clone = vmx.read(file)
        changes = settings.of(clone, node, boot, self._machines.network_cards(), self._config[node.role], self._host)
        vmx.write(file, clone.changed(changes | self._size_disks(node, clone, file, lock)))

    def _size_disks(self, node: Node, clone: Vmx, file: Path, lock: int) -> dict[str, str | None]:
        """Changes to the settings for the disks that were grown and made."""
        manager = DiskManager(self._vmrun().program, [lock])
        boot_disk = next(iter(disks(clone, file.parent)), None)
        if boot_disk is None:
            raise TargetError(f"{file}: this clone has no disk")
        wanted, further = node.machine.boot_disk_gib, node.machine.data_volumes_gib
        if wanted and wanted * GIB > capacity(boot_disk.file):
            manager.grow(boot_disk.file, wanted)
        changes: dict[str, str | None] = {}
        units = free_units(clone, boot_disk, len(further))
        for number, (gib, unit) in enumerate(zip(further, units, strict=True), 1):
            extra = file.with_name(f"{node.name}-data{f'-{number}' if number > 1 else ''}.vmdk")
            manager.create(extra, gib)
            changes |= settings.disk(boot_disk.controller, unit, extra.name)
        return changes

    # --- what exists -----------------------------------------------------------------------------------------------

    def _take_over(self, found: Found) -> Vm:
        """The machine that exists, powered on."""
        if not self._power.runs(found.file):
            if found.note and found.note.scrubbed:  # the machine wrote its old boot data back when it stopped
                scrubbing.clean_file(found.file)
            tasks.restore(found.file)
            self._power.start(found.file)
        return Vm(found.name, str(found.file), Power.ON, found.stamp, where=str(found.folder))

    def _own_file(self, vm: Vm) -> Path:
        """Its .vmx, where we would have made it: an id is a path, and not every path may be deleted."""
        file = self._machines.file(vm.name)
        if Path(vm.id) != file:
            raise TargetError(f"{vm.id}: this machine does not lie where kube-provision makes machines; it is left alone")
        return file


def _disks_of(file: Path) -> tuple[str, ...]:
    """Names of the disks that lie in the folder of the machine that was just made."""
    made = disks(vmx.read(file), file.parent)
    return tuple(disk.file.name for disk in made if disk.file.parent == file.parent and not disk.file.is_symlink())


def _origin(config: FusionConfig) -> Origin:
    return Origin(config.template, config.clone_type is CloneType.LINKED, config.snapshot)


def _refuse_foreign(node: Node, found: Found | None) -> None:
    if found and (found.stamp is None or found.stamp.cluster_id != node.stamp.cluster_id):
        raise TargetError(
            f"{found.folder}: what lies here bears the name {node.name} and is not one of cluster {node.stamp.cluster}'s "
            "machines; it is left alone. Rename it, or choose another name for the cluster"
        )


def _whole(vm: Vm, found: Found | None, *others: Stamp) -> Found:
    """The machine as it is now, with nothing of its making left to do. `others`: stamps that will do as well."""
    _check_stamp(vm, found, *others)
    if found is None or not found.complete:
        raise TargetError(f"{vm.id}: this machine is only half there; the next run makes it anew")
    return found


def _check_stamp(vm: Vm, found: Found | None, *others: Stamp) -> Stamp:
    """Read again just before something is done to the machine."""
    if found is None:
        raise TargetError(f"{vm.id}: this machine is gone")
    if found.stamp is None or found.stamp not in (vm.stamp, *others):
        raise TargetError(f"{found.folder}: its stamp is not the one that was observed; it is left alone")
    return found.stamp
