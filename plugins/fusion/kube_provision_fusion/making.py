"""A new machine: cloned, told what it is, given its disks; or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kube_provision_core import Boot, Node, Role, TargetError

from . import attached, machines, note, settings, vmx
from .cloning import Origin
from .config import CloneType, FusionConfig
from .disks import GIB, DiskManager, capacity, disks, free_units
from .machines import Found
from .note import Note
from .vmware import Vmware
from .vmx import Vmx


@dataclass(frozen=True)
class Maker:
    """Methods raise `TargetError`. The machine's folder is there, and locked by `lock`."""

    vmware: Vmware
    config: Mapping[Role, FusionConfig]

    def make(self, node: Node, boot: Boot, leftover: Found | None, lock: int) -> Path:
        """Its .vmx. Removes what it has begun when it fails; a run that is killed leaves a note instead."""
        config = self.config[node.role]
        folder, file = self.vmware.machines.folder(node.name), self.vmware.machines.file(node.name)
        if leftover:
            self._clear(leftover)
        try:
            note.write(folder, Note(node.name, node.stamp, complete=False))
            origin = Origin(config.template, config.clone_type is CloneType.LINKED, config.snapshot)
            self.vmware.cloner.clone(origin, file, node.name, lock)
            self._prepare(node, boot, file, lock)
            note.write(folder, Note(node.name, node.stamp, complete=True, disks=_disks_of(file)))
        except TargetError:
            with suppress(TargetError):
                machines.erase(folder)
            raise
        return file

    def _clear(self, leftover: Found) -> None:
        """Its note stays, and is needed until all is gone: it says which disks the machine was made with."""
        self.vmware.power.stop(leftover.file)
        attached.spare(leftover.file, leftover.note.disks if leftover.note else None)
        machines.clear(leftover.folder)

    def _prepare(self, node: Node, boot: Boot, file: Path, lock: int) -> None:
        clone, taken = vmx.read(file), self.vmware.machines.network_cards()
        changes = settings.of(clone, node, boot, taken, self.config[node.role], self.vmware.host)
        vmx.write(file, clone.changed(changes | self._size_disks(node, clone, file, lock)))

    def _size_disks(self, node: Node, clone: Vmx, file: Path, lock: int) -> dict[str, str | None]:
        """Changes to the settings for the disks that were grown and made."""
        manager = DiskManager(self.vmware.vmrun.program, [lock])
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


def _disks_of(file: Path) -> tuple[str, ...]:
    """Names of the disks that lie in the folder of the machine that was just made."""
    made = disks(vmx.read(file), file.parent)
    return tuple(disk.file.name for disk in made if disk.file.parent == file.parent and not disk.file.is_symlink())
