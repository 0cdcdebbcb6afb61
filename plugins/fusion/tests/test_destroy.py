"""Only what bears the observed stamp is destroyed, and all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from servers.vmware import Vmware

from kube_provision_core import Cluster, TargetError, Vm
from kube_provision_fusion.driver import Fusion


def test_a_running_machine_is_shut_down_and_deleted(vmware: Vmware, driver: Fusion, vm: Vm) -> None:
    assert driver.destroy_vm(vm=vm) is True
    assert [call["argv"][-1] for call in vmware.calls("stop")] == ["soft"]
    assert not Path(vm.id).parent.exists()


def test_a_guest_without_tools_is_switched_off(vmware: Vmware, driver: Fusion, vm: Vm) -> None:
    vmware.be(tools=False)
    driver.destroy_vm(vm=vm)
    assert [call["argv"][-1] for call in vmware.calls("stop")] == ["soft", "hard"]


def test_a_guest_that_does_not_shut_down_is_switched_off(vmware: Vmware, vm: Vm) -> None:
    vmware.limits = replace(vmware.limits, shut_down=0.4)
    with vmware.fault("stop", "soft", seconds=60):
        vmware.driver().destroy_vm(vm=vm)
    assert vmware.running() == {}


def test_a_machine_that_cannot_be_switched_off_keeps_its_files(vmware: Vmware, driver: Fusion, vm: Vm) -> None:
    with vmware.fault("stop", message="Unknown error"), pytest.raises(TargetError, match="cannot be switched off"):
        driver.destroy_vm(vm=vm)
    assert Path(vm.id).exists()


def test_locks_that_a_crash_left_are_no_obstacle(vmware: Vmware, driver: Fusion, vm: Vm) -> None:
    vmware.pull_the_plug()
    assert any(Path(f"{vm.id}.lck").iterdir())
    driver.destroy_vm(vm=vm)
    assert not Path(vm.id).parent.exists()


def test_what_vmware_leaves_goes_too(vmware: Vmware, driver: Fusion, vm: Vm) -> None:
    (Path(vm.id).parent / "caches").mkdir()
    (Path(vm.id).parent / "caches" / "gtk").touch()
    driver.destroy_vm(vm=vm)
    assert not Path(vm.id).parent.exists()


def test_what_a_link_in_its_folder_leads_to_stays(vmware: Vmware, driver: Fusion, vm: Vm) -> None:
    elsewhere = vmware.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    (Path(vm.id).parent / "link").symlink_to(elsewhere)
    driver.destroy_vm(vm=vm)
    assert (elsewhere / "precious").exists()


def test_the_template_and_its_snapshot_stay(vmware: Vmware, driver: Fusion, vm: Vm) -> None:
    driver.destroy_vm(vm=vm)
    assert len(vmware.vmrun().snapshots(vmware.template)) == 1


def test_a_deletion_that_was_cut_short_is_found_and_finished(
    vmware: Vmware, driver: Fusion, vm: Vm, cluster: Cluster
) -> None:
    with vmware.fault("deleteVM", message="Unknown error"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("kube_provision_fusion.machines.erase", _die)
        with pytest.raises(KeyboardInterrupt):
            driver.destroy_vm(vm=vm)
    Path(vm.id).unlink()
    (left,) = vmware.driver().list_vms(cluster=cluster)
    assert (left.stamp, left.complete) == (vm.stamp, False)
    vmware.driver().destroy_vm(vm=left)
    assert not Path(vm.id).parent.exists()


def _die(folder: Path) -> None:
    raise KeyboardInterrupt


def test_a_path_elsewhere_is_never_deleted(vmware: Vmware, driver: Fusion, vm: Vm) -> None:
    with pytest.raises(TargetError, match="left alone"):
        driver.destroy_vm(vm=replace(vm, id=str(vmware.template)))
    assert vmware.template.exists()
