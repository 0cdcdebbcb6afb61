"""No disk that a machine was not made with goes with it, wherever it lies and however it was attached."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.qemu import CLUSTER, boot, node

from kube_provision_core import TargetError, Vm
from kube_provision_qemu import processes, qmp
from kube_provision_qemu.driver import Qemu

pytestmark = pytest.mark.integration

WORKER = node("w-home-1")


@pytest.fixture
def vm(driver: Qemu) -> Vm:
    return driver.provision_vm(node=WORKER, boot=boot(WORKER))


def make_disk(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True, timeout=60)
    return path.read_bytes()


def plug(vm: Vm, disk: Path) -> None:
    """As somebody does who has the monitor at hand."""
    with qmp.session(Path(vm.id) / "qmp.sock") as session:
        file = {"driver": "file", "filename": str(disk)}
        session.execute("blockdev-add", **{"driver": "qcow2", "node-name": "later", "file": file})


@pytest.mark.parametrize("name", ["volume.qcow2", "data.qcow2", "data-2.qcow2", "volumes/a.qcow2"])
@pytest.mark.parametrize("running", [True, False])
def test_a_disk_in_the_machines_folder_is_moved_out_and_named(
    driver: Qemu, vm: Vm, vm_dir: Path, caplog: pytest.LogCaptureFixture, name: str, running: bool
) -> None:
    """Also of a further disk's name, of a machine that was made without one."""
    disk = Path(vm.id) / name
    content = make_disk(disk)
    plug(vm, disk)
    if not running:
        processes.kill(Path(vm.id) / "pid")
    with caplog.at_level(logging.WARNING):
        assert driver.destroy_vm(vm=vm) is True
    (kept,) = vm_dir.glob(f"kept/w-home-1.*/{name}")
    assert kept.read_bytes() == content
    assert f"w-home-1: {Path(name).parts[0]} was not made with this machine; it is kept in {vm_dir}/kept/" in caplog.text
    assert driver.list_vms(cluster=CLUSTER) == []


def test_a_disk_elsewhere_stays_where_it_is(driver: Qemu, vm: Vm, tmp_path: Path) -> None:
    disk = tmp_path / "volumes" / "a.qcow2"
    content = make_disk(disk)
    plug(vm, disk)
    driver.destroy_vm(vm=vm)
    assert disk.read_bytes() == content


def test_a_link_goes_and_what_it_leads_to_stays(driver: Qemu, vm: Vm, tmp_path: Path) -> None:
    disk = tmp_path / "a.qcow2"
    content = make_disk(disk)
    (Path(vm.id) / "volume.qcow2").symlink_to(disk)
    driver.destroy_vm(vm=vm)
    assert disk.read_bytes() == content
    assert not Path(vm.id).exists()


def test_the_machines_own_disks_go(driver: Qemu, vm_dir: Path) -> None:
    machine = node("w-home-1", data_volumes_gib=(1, 2, 1))
    driver.destroy_vm(vm=driver.provision_vm(node=machine, boot=boot(machine)))
    assert not (vm_dir / "kept").exists()
    assert list(vm_dir.rglob("*.qcow2")) == []


def test_a_disk_that_cannot_be_moved_out_keeps_its_machine(driver: Qemu, vm: Vm, vm_dir: Path) -> None:
    content = make_disk(Path(vm.id) / "volume.qcow2")
    (vm_dir / "kept").touch()
    with pytest.raises(TargetError, match="w-home-1 cannot be destroyed"):
        driver.destroy_vm(vm=vm)
    assert (Path(vm.id) / "volume.qcow2").read_bytes() == content
    (vm_dir / "kept").unlink()
    assert driver.destroy_vm(vm=vm) is True


def test_a_machine_that_others_were_made_from_stays(make_driver: Callable[..., Qemu], vm: Vm, tmp_path: Path) -> None:
    """Somebody took its disk, or a disk on top of it, for a template."""
    processes.kill(Path(vm.id) / "pid")
    above = tmp_path / "above.qcow2"
    own = Path(vm.id) / "boot.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", own, above], check=True, timeout=60)
    other = node("w-home-2", index=2)
    made = make_driver(template=above).provision_vm(node=other, boot=boot(other))
    with pytest.raises(TargetError, match=r"what is in it is needed by w-home-2; it is left alone"):
        make_driver().destroy_vm(vm=vm)
    with pytest.raises(TargetError, match=r"needed by w-home-2, template .*boot.qcow2; it is left alone"):
        make_driver(template=own).destroy_vm(vm=vm)
    make_driver().destroy_vm(vm=made)
    assert make_driver().destroy_vm(vm=vm) is True


def test_the_template_stays(driver: Qemu, vm: Vm, template: Path) -> None:
    content = template.read_bytes()
    driver.destroy_vm(vm=vm)
    assert template.read_bytes() == content
