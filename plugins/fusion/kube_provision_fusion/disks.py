"""Virtual disks: which ones a machine has, how large they are, and the program that makes and grows them."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kube_provision_core import TargetError, telling_os_errors

from . import programs
from .vmx import Vmx

GIB = 1024**3
PROGRAM = "vmware-vdiskmanager"

_SECTOR = 512
_SPARSE = struct.Struct("<4sIIQQQQ")
"""The beginning of a disk whose description may lie inside of it: magic, version, flags, and in sectors the capacity, the
size of a grain, and where the description lies."""
_SPARSE_MAGIC = b"KDMV"
_DESCRIPTION_LIMIT = 1024 * 1024
_BELOW = re.compile(rb'^parentFileNameHint *= *"([^"\r\n]+)"', re.MULTILINE)
_EXTENT = re.compile(rb'^(?:RW|RDONLY|NOACCESS) +(\d+) +\w+(?: +"([^"]+)")?', re.MULTILINE)

_SLOT = re.compile(r"((?:scsi|nvme|sata|ide)\d+):(\d+)\.filename")
_CONTROLLERS = ("scsi", "nvme", "sata", "ide")
"""In the order in which the firmware looks for the disk to boot from."""
_UNITS = {"scsi": 16, "nvme": 15, "sata": 30, "ide": 2}
_SCSI_CONTROLLER = 7
"""The unit that a SCSI controller takes itself."""

LARGEST = 8 * 1024
"""GiB that a disk may have on VMware Fusion and Workstation."""

_GROW_LIMIT = 600.0
_CREATE_LIMIT = 300.0


@dataclass(frozen=True)
class Disk:
    controller: str
    """`scsi0`, `nvme0`, …"""
    unit: int
    file: Path

    @property
    def slot(self) -> str:
        return f"{self.controller}:{self.unit}"


def disks(vmx: Vmx, folder: Path) -> tuple[Disk, ...]:
    """The machine's disks, the one that it boots from first. `folder` is the machine's."""
    slots = [(match, name) for name in vmx.names() if (match := _SLOT.fullmatch(name))]
    found = [
        Disk(match[1], int(match[2]), folder / vmx.get(name))
        for match, name in slots
        if vmx.is_true(f"{match[1]}:{match[2]}.present") and vmx.get(name).lower().endswith(".vmdk")
    ]
    return tuple(sorted(found, key=_boot_order))


def _boot_order(disk: Disk) -> tuple[int, str, int]:
    kind = disk.controller.rstrip("0123456789")
    return _CONTROLLERS.index(kind), disk.controller, disk.unit


def capacity(file: Path) -> int:
    """Bytes that a guest sees. Raises `TargetError` for a file that is no virtual disk."""
    head = _head(file)
    if head.startswith(_SPARSE_MAGIC) and len(head) >= _SPARSE.size:
        sectors: int = _SPARSE.unpack_from(head)[3]
        return sectors * _SECTOR
    sectors = sum(int(size) for size, _ in _EXTENT.findall(head))
    if sectors == 0:
        raise TargetError(f"{file}: this is no virtual disk")
    return sectors * _SECTOR


def contents(file: Path) -> tuple[Path, ...]:
    """The files in which the disk's data lies, itself included; not those of the disks below it."""
    head = _head(file)
    extents = () if head.startswith(_SPARSE_MAGIC) else _EXTENT.findall(head)
    return (file, *(file.parent / name.decode(errors="replace") for _, name in extents if name))


def below(file: Path) -> Path | None:
    """The disk that this one builds on, where it was when that was noted; None for one that stands alone."""
    head = _head(file)
    if head.startswith(_SPARSE_MAGIC):
        head = _description(file, head)
    hint = _BELOW.search(head)
    return file.parent / hint[1].decode(errors="surrogateescape") if hint else None


def _description(file: Path, head: bytes) -> bytes:
    if len(head) < _SPARSE.size:
        return b""
    *_, place, length = _SPARSE.unpack(head)
    with telling_os_errors(f"{file}: cannot be read"), file.open("rb") as disk:
        if place * _SECTOR >= file.stat().st_size:
            return b""
        disk.seek(place * _SECTOR)
        return disk.read(min(length * _SECTOR, _DESCRIPTION_LIMIT))


def _head(file: Path) -> bytes:
    with telling_os_errors(f"{file}: cannot be read"), file.open("rb") as disk:
        head = disk.read(_SPARSE.size)
        return head if head.startswith(_SPARSE_MAGIC) else head + disk.read(_DESCRIPTION_LIMIT)


def free_units(vmx: Vmx, boot_disk: Disk, count: int) -> list[int]:
    """Units behind the boot disk, of its controller, that nothing is plugged into. Raises `TargetError` where there are
    fewer."""
    controller, kind = boot_disk.controller, boot_disk.controller.rstrip("0123456789")
    taken = {name.split(".")[0] for name in vmx.names()}
    units = [unit for unit in range(boot_disk.unit + 1, _UNITS[kind]) if (kind, unit) != ("scsi", _SCSI_CONTROLLER)]
    free = [unit for unit in units if f"{controller}:{unit}" not in taken]
    if len(free) < count:
        raise TargetError(
            f"data_volumes: {count} wanted, and the template's controller {controller} has room for {len(free)} more disks; "
            "give fewer"
        )
    return free[:count]


class DiskManager:
    """vmware-vdiskmanager, which lies beside vmrun. `holding`: locks that its calls keep until they end."""

    def __init__(self, vmrun: Path, holding: Sequence[int] = ()) -> None:
        self._holding = holding
        self._places = (vmrun.with_name(PROGRAM), vmrun.resolve().with_name(PROGRAM))

    def find(self) -> Path:
        """Raises `TargetError` where it is missing."""
        found = next((place for place in self._places if place.is_file()), None)
        if found is None:
            raise TargetError(f"there is no {PROGRAM} beside vmrun ({self._places[0]}), which makes and grows disks")
        return found

    def grow(self, file: Path, gib: int) -> None:
        self._run(["-x", f"{gib}GB", file], _GROW_LIMIT, f"grow {file} to {gib} GiB")

    def create(self, file: Path, gib: int) -> None:
        """A disk that takes room as it is written to."""
        arguments: list[str | Path] = ["-c", "-s", f"{gib}GB", "-a", "lsilogic", "-t", "0", file]
        self._run(arguments, _CREATE_LIMIT, f"create {file} with {gib} GiB")

    def _run(self, arguments: list[str | Path], limit: float, what: str) -> None:
        command = [self.find(), *arguments]
        outcome = programs.run(command, limit, f"{PROGRAM} could not {what}", holding=self._holding)
        if outcome.code != 0:
            raise TargetError(f"{PROGRAM} could not {what}: {outcome.last_words}")
