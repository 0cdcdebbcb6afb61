"""Which disks are a machine's own: vCenter deletes a machine with all that are attached to it, a storage driver's too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kube_provision_core import TargetError

from .. import stamp
from .identity import option_path, option_text
from .read import Found, Select, retrieve
from .session import Session
from .users import DEVICES, DiskUsers
from .vmomi import managed_id, vim

SCSI_CONTROLLERS_OWN = 7
"""The unit of a SCSI controller that is the controller's own. A paravirtual one has more of them in newer hardware."""
HOME, SNAPSHOTS = "config.files.vmPathName", "snapshot"
NOTE = option_path(stamp.DISKS)
PATHS = {"VirtualMachine": [DEVICES, HOME, SNAPSHOTS, NOTE], "VirtualMachineSnapshot": [DEVICES]}


@dataclass(frozen=True)
class Disks:
    """What a look at a machine's disks showed."""

    others: tuple[Any, ...]
    """The attached ones that are not its own alone, as vCenter describes them."""
    in_snapshots: tuple[str, ...]
    """Such that a snapshot holds, in words: they would go with it, attached or not."""
    files: str = ""
    """The other ones, in words: `[ssd-1] fcd/volume.vmdk, [ssd-1] w-1/w-1.vmdk (used by backup too)`."""


def disks(devices: Iterable[Any]) -> list[Any]:
    """The virtual disks, the boot disk first: that of the first controller's first place."""
    found = [device for device in devices if isinstance(device, vim.vm.device.VirtualDisk)]
    return sorted(found, key=lambda disk: (disk.controllerKey or 0, disk.unitNumber or 0))


def free_places(devices: Iterable[Any]) -> tuple[tuple[int, int], ...]:
    """Where a machine with these devices has room for more disks: keys of controllers, and units. All of them are behind
    the boot disk, which stays the first one."""
    every = list(devices)
    taken = {(device.controllerKey, device.unitNumber) for device in every}
    boot_disk = next(((disk.controllerKey or 0, disk.unitNumber or 0) for disk in disks(every)), (0, 0))
    places = {place for device in every for place in _places(device)}
    return tuple(sorted(place for place in places - taken if place > boot_disk))


def _places(controller: Any) -> Iterator[tuple[int, int]]:
    """Of what is no controller of disks there are none."""
    device = vim.vm.device
    kinds = {
        device.VirtualSCSIController: [unit for unit in range(16) if unit != SCSI_CONTROLLERS_OWN],
        device.VirtualNVMEController: range(15),
        device.VirtualSATAController: range(30),
        device.VirtualIDEController: range(2),
    }
    units = next((units for kind, units in kinds.items() if isinstance(controller, kind)), ())
    return ((controller.key, unit) for unit in units)


def note(own: Iterable[Any]) -> str:
    """Which disks a machine is made with, by their places: names of files are chosen by vCenter."""
    return " ".join(_place(disk) for disk in own)


def look(session: Session, users: DiskUsers, name: str, machine: str) -> Disks:
    """Its disks as they are now; none of a machine that is gone. Raises `TargetError`."""
    doing = f"{name}: look at its disks"
    found = retrieve(session, doing, Select(PATHS, [("VirtualMachine", machine)]))
    if not found:
        return Disks((), ())
    values = found[0].values
    if DEVICES not in values or HOME not in values:
        raise TargetError(f"{doing}: vCenter does not tell them; it is left alone")
    attached = disks(values[DEVICES])
    kept = _in_snapshots(session, doing, values.get(SNAPSHOTS))
    own = _Own.of(values, users.others(machine, _datastores([*attached, *kept]), doing))
    others = tuple(disk for disk in attached if not own.has(disk))
    return Disks(
        others,
        tuple(dict.fromkeys(own.words(disk) for disk in kept if not own.has(disk))),
        ", ".join(map(own.words, others)),
    )


@dataclass(frozen=True)
class _Own:
    """A disk is a machine's own where one was when it was made, in a file of its own folder that no other machine uses."""

    places: Collection[str]
    home: str
    used: Mapping[str, str]
    """Machines that use a file too, by the file."""

    @classmethod
    def of(cls, values: Mapping[str, Any], used: Mapping[str, str]) -> _Own:
        noted = option_text(values.get(NOTE))
        places = noted.split() if noted is not None else map(_place, disks(values[DEVICES])[:1])
        return cls(frozenset(places), _folder(values[HOME]), used)

    def has(self, disk: Any) -> bool:
        file = _file(disk)
        return _place(disk) in self.places and self.home != "" and _folder(file) == self.home and file not in self.used

    def words(self, disk: Any) -> str:
        user = self.used.get(_file(disk))
        return f"{_name(disk)} (used by {user} too)" if user else _name(disk)


def _datastores(found: Iterable[Any]) -> set[str]:
    stores = (getattr(disk.backing, "datastore", None) for disk in found)
    return {managed_id(store) for store in stores if store is not None}


def _in_snapshots(session: Session, doing: str, snapshots: Any) -> list[Any]:
    ids = [managed_id(tree.snapshot) for tree in _trees(getattr(snapshots, "rootSnapshotList", ()))]
    found: list[Found] = retrieve(session, doing, Select(PATHS, [("VirtualMachineSnapshot", item) for item in ids]))
    return [disk for one in found for disk in disks(one.values.get(DEVICES) or ())]


def _trees(trees: Iterable[Any]) -> Iterator[Any]:
    for tree in trees:
        yield tree
        yield from _trees(tree.childSnapshotList)


def _place(disk: Any) -> str:
    return f"{disk.controllerKey}:{disk.unitNumber}"


def _file(disk: Any) -> str:
    return getattr(disk.backing, "fileName", None) or ""


def _folder(file: str) -> str:
    return file.rpartition("/")[0]


def _name(disk: Any) -> str:
    return _file(disk) or f"the disk at {_place(disk)}"
