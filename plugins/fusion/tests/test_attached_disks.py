"""No disk that a machine was not made with goes with it: VMware deletes whatever stands in a machine's .vmx."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from servers.vmware import Vmware, write_disk

from kube_provision_core import Boot, Cluster, Node, TargetError, Vm
from kube_provision_fusion import note
from kube_provision_fusion.driver import Fusion
from kube_provision_fusion.power import PowerSwitch

Make = Callable[..., Vm]


@pytest.fixture
def make(node: Callable[..., Node], boot: Callable[[Node], Boot]) -> Make:
    def make(driver: Fusion, name: str = "w-prod-1", **size: int) -> Vm:
        """Powered off again."""
        one = node(name, **size)
        return driver.provision_vm(node=one, boot=boot(one))

    return make


def attach(vmware: Vmware, vm: Vm, disk: Path, slot: str = "scsi0:5") -> None:
    """As somebody does in VMware's settings, while the machine is off."""
    file = Path(vm.id)
    if file.name in {f"{name}.vmx" for name in vmware.running()}:
        vmware.vmrun().switch_off(file)
    name = disk.name if disk.parent == file.parent else str(disk)
    vmware.set_vmx(vm.name, {f"{slot}.present": "TRUE", f"{slot}.fileName": name, f"{slot}.redo": ""})


@pytest.mark.parametrize("again", [False, True])
def test_a_disk_elsewhere_stays_where_it_is(
    vmware: Vmware, driver: Fusion, make: Make, caplog: pytest.LogCaptureFixture, again: bool
) -> None:
    """Also of a machine that has run with it."""
    vm, disk = make(driver), vmware.root / "volumes" / "db.vmdk"
    disk.parent.mkdir()
    write_disk(disk, 1)
    before = {path.name: path.read_bytes() for path in disk.parent.iterdir()}
    attach(vmware, vm, disk)
    if again:
        vmware.vmrun().start(Path(vm.id))
    with caplog.at_level(logging.WARNING):
        driver.destroy_vm(vm=vm)
    assert {path.name: path.read_bytes() for path in disk.parent.iterdir()} == before
    assert f"w-prod-1: {disk} was not made with this machine; it stays where it is" in caplog.text
    assert not Path(vm.id).parent.exists()


@pytest.mark.parametrize("attached", [True, False])
@pytest.mark.parametrize("name", ["db", "w-prod-1-data-2"])
def test_a_disk_in_the_machines_folder_is_moved_out_with_all_of_its_parts(
    vmware: Vmware, driver: Fusion, make: Make, caplog: pytest.LogCaptureFixture, name: str, attached: bool
) -> None:
    """Also one that is called as a further disk would be."""
    vm = make(driver, data_volumes_gib=(1,))
    disk = Path(vm.id).with_name(f"{name}.vmdk")
    write_disk(disk, 1)
    if attached:
        attach(vmware, vm, disk)
    with caplog.at_level(logging.WARNING):
        driver.destroy_vm(vm=vm)
    (kept,) = vmware.vm_dir.glob("w-prod-1.kept.*")
    assert {path.name for path in kept.iterdir()} == {f"{name}{part}.vmdk" for part in ("", "-s001", "-s002")}
    assert f"was not made with this machine; it is kept in {kept}" in caplog.text
    assert not Path(vm.id).parent.exists()


def test_what_is_kept_is_nobodys_machine(vmware: Vmware, driver: Fusion, make: Make, cluster: Cluster) -> None:
    vm = make(driver)
    Path(vm.id).with_name("install.iso").write_text("precious")
    driver.destroy_vm(vm=vm)
    assert driver.list_vms(cluster=cluster) == ()
    assert make(driver).name == "w-prod-1"
    assert next(vmware.vm_dir.glob("w-prod-1.kept.*/install.iso")).read_text() == "precious"


def test_the_machines_own_disks_go_with_their_snapshots(vmware: Vmware, driver: Fusion, make: Make) -> None:
    vm = make(driver, data_volumes_gib=(1, 1))
    vmware.vmrun().switch_off(Path(vm.id))
    for name in ("one", "two"):
        vmware.vmrun().take_snapshot(Path(vm.id), name)
    driver.destroy_vm(vm=vm)
    assert list(vmware.vm_dir.glob("w-prod-1*")) == []


@pytest.mark.parametrize("how", ["linked clone", "template"])
def test_a_machine_that_others_were_made_from_stays(vmware: Vmware, driver: Fusion, make: Make, how: str) -> None:
    """Also where the snapshot is gone that the clone was made from."""
    vm = make(driver)
    vmware.vmrun().switch_off(Path(vm.id))
    if how == "template":
        driver = vmware.driver(template=vm.id)
    else:
        vmware.vmrun().take_snapshot(Path(vm.id), "golden")
        copy = vmware.vm_dir / "copy.vmwarevm" / "copy.vmx"
        vmware.vmrun().clone(Path(vm.id), copy, "copy", linked=True, snapshot="golden")
        Path(vm.id).with_suffix(".vmsd").unlink()
    with pytest.raises(TargetError, match=r"w-prod-1.vmwarevm: its disks are needed by .*; it is left alone"):
        driver.destroy_vm(vm=vm)
    assert Path(vm.id).exists()


@pytest.mark.parametrize("where", ["template's", "a link"])
def test_a_disk_that_is_the_templates_own_stays(vmware: Vmware, driver: Fusion, make: Make, where: str) -> None:
    vm, disk = make(driver), vmware.template.parent / "Virtual Disk.vmdk"
    before = sorted(path.name for path in disk.parent.glob("*.vmdk"))
    attached = disk
    if where == "a link":
        attached = Path(vm.id).with_name("shared.vmdk")
        attached.symlink_to(disk)
    attach(vmware, vm, attached)
    driver.destroy_vm(vm=vm)
    assert sorted(path.name for path in disk.parent.glob("*.vmdk")) == before


def test_a_disk_that_cannot_be_moved_out_keeps_its_machine(
    vmware: Vmware, driver: Fusion, make: Make, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = make(driver)
    disk = Path(vm.id).with_name("db.vmdk")
    write_disk(disk, 1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", _full)
        with pytest.raises(TargetError, match="cannot be moved out: No space left"):
            driver.destroy_vm(vm=vm)
    assert disk.exists()
    (seen,) = driver.list_vms(cluster=cluster)
    assert seen.complete


@pytest.mark.parametrize("stuck", ["the machine", "the disk"])
def test_a_disk_in_what_a_killed_run_left_outlives_a_run_that_cannot_clear_that(
    vmware: Vmware, driver: Fusion, make: Make, monkeypatch: pytest.MonkeyPatch, stuck: str
) -> None:
    """And the next one still knows whose it is."""
    folder = Path(make(driver).id).parent
    write_disk(folder / "db.vmdk", 1)
    noted = note.read(folder)
    assert noted
    note.write(folder, replace(noted, complete=False))
    with monkeypatch.context() as patch:
        if stuck == "the machine":
            patch.setattr(PowerSwitch, "stop", _goes_on)
        else:
            patch.setattr(Path, "rename", _full)
        with pytest.raises(TargetError):
            make(driver)
    assert (folder / "db.vmdk").exists()
    make(driver)
    assert list(vmware.vm_dir.glob("w-prod-1.kept.*/db.vmdk"))


def _goes_on(*_: object, **__: object) -> None:
    raise TargetError("this machine cannot be switched off")


def _full(path: Path, to: Path) -> None:
    raise OSError(28, "No space left on device")
