"""Disks are found, measured, and plugged in where there is room."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from servers.vmware import Vmware, write_disk

from kube_provision_core import TargetError
from kube_provision_fusion import disks, vmx
from kube_provision_fusion.disks import GIB, Disk, DiskManager

DATA = Path(__file__).parent / "data"


def settings(*lines: str) -> vmx.Vmx:
    return vmx.parse("\n".join(lines).encode())


def test_the_disk_to_boot_from_comes_first() -> None:
    found = disks.disks(
        settings(
            'sata0:0.present = "TRUE"',
            'sata0:0.fileName = "data.vmdk"',
            'scsi0:1.present = "TRUE"',
            'scsi0:1.fileName = "second.vmdk"',
            'scsi0:0.present = "TRUE"',
            'scsi0:0.fileName = "first.vmdk"',
        ),
        Path("/vm"),
    )
    assert [disk.file.name for disk in found] == ["first.vmdk", "second.vmdk", "data.vmdk"]


def test_drives_and_unplugged_disks_are_no_disks() -> None:
    found = disks.disks(vmx.read(DATA / "debian arm.vmx"), Path("/vm"))
    assert [(disk.controller, disk.unit, disk.file) for disk in found] == [("nvme0", 0, Path("/vm/Virtual Disk.vmdk"))]


def test_a_disk_in_parts_is_measured(tmp_path: Path) -> None:
    write_disk(tmp_path / "disk.vmdk", 20)
    assert disks.capacity(tmp_path / "disk.vmdk") == 20 * GIB
    assert [part.name for part in disks.contents(tmp_path / "disk.vmdk")] == [
        "disk.vmdk",
        "disk-s001.vmdk",
        "disk-s002.vmdk",
    ]


def test_a_disk_in_one_file_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "disk.vmdk"
    file.write_bytes(b"KDMV" + struct.pack("<IIQ", 1, 3, 40 * GIB // 512) + bytes(492))
    assert disks.capacity(file) == 40 * GIB
    assert disks.contents(file) == (file,)


def test_what_is_no_disk_is_told(tmp_path: Path) -> None:
    (tmp_path / "disk.vmdk").write_text("hello")
    with pytest.raises(TargetError, match="no virtual disk"):
        disks.capacity(tmp_path / "disk.vmdk")


def place(controller: str, unit: int = 0) -> Disk:
    return Disk(controller, unit, Path("boot.vmdk"))


def test_the_next_free_places_are_found() -> None:
    taken = [f'scsi0:{unit}.present = "FALSE"' for unit in range(7)]
    assert disks.free_units(settings(*taken[:1]), place("scsi0"), 1) == [1]
    assert disks.free_units(settings(*taken), place("scsi0"), 2) == [8, 9], "7 is the controller's own"
    assert disks.free_units(settings(), place("nvme0"), 14) == [*range(1, 15)]
    assert disks.free_units(settings(), place("sata0", 3), 2) == [4, 5], "the boot disk stays the first"


def test_a_full_controller_is_told() -> None:
    with pytest.raises(TargetError, match="data_volumes: 1 wanted, and the template's controller ide0 has room for 0 more"):
        disks.free_units(settings('ide0:0.present = "TRUE"', 'ide0:1.present = "TRUE"'), place("ide0"), 1)


def test_the_disk_manager_is_found_beside_what_a_link_leads_to(vmware: Vmware) -> None:
    link = vmware.root / "vmrun"
    link.symlink_to(vmware.program)
    assert DiskManager(link).find() == vmware.program.with_name("vmware-vdiskmanager")


def test_the_disk_managers_own_words_are_told(vmware: Vmware) -> None:
    manager = DiskManager(vmware.program)
    with vmware.fault("-c", message="Insufficient disk space"), pytest.raises(TargetError, match="Insufficient disk space"):
        manager.create(vmware.root / "new.vmdk", 10)
