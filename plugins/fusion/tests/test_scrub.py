"""Once a node has finished, its secrets are nowhere: not in the file, not in the machine, not in a log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from servers.vmware import Vmware

from kube_provision_core import Boot, Cluster, GuestInfo, Node, TargetError, Vm
from kube_provision_fusion import note, scrubbing
from kube_provision_fusion.driver import Fusion

SECRET = "fusion-test-secret"


def scrubbed(driver: Fusion, cluster: Cluster) -> bool:
    (seen,) = driver.list_vms(cluster=cluster)
    return seen.scrubbed


@pytest.mark.parametrize("keeps_changes", [True, False])
def test_secrets_stay_away_when_the_machine_stops_and_starts_again(
    vmware: Vmware,
    driver: Fusion,
    cluster: Cluster,
    vm: Vm,
    node: Callable[..., Node],
    boot: Callable[[Node], Boot],
    keeps_changes: bool,
) -> None:
    """A machine that stops writes its .vmx anew; whether with what vmrun wrote meanwhile, nobody promises."""
    vmware.be(keeps_changes=keeps_changes)
    assert SECRET in vmware.boot_data(vm)
    driver.scrub_boot(vm=vm)
    assert SECRET not in vmware.boot_data(vm)
    vmware.vmrun().switch_off(vmware.vm_dir / "w-prod-1.vmwarevm" / "w-prod-1.vmx")
    assert scrubbed(driver, cluster) is keeps_changes
    driver.provision_vm(node=node(), boot=boot(node()))
    assert SECRET not in vmware.boot_data(vm)
    assert scrubbed(driver, cluster)


def test_the_instance_id_stays_so_that_a_reboot_is_no_first_boot(vmware: Vmware, driver: Fusion, vm: Vm) -> None:
    before = vmware.machine("w-prod-1").get("guestinfo.metadata")
    driver.scrub_boot(vm=vm)
    assert vmware.machine("w-prod-1").get("guestinfo.metadata") == before


def test_a_file_without_secrets_is_not_enough(driver: Fusion, cluster: Cluster, vm: Vm) -> None:
    """The running machine would write them into it again."""
    scrubbing.clean_file(Path(vm.id))
    assert not scrubbed(driver, cluster)


def test_a_node_that_has_emptied_its_own_copy_is_not_clean_yet(
    vmware: Vmware, driver: Fusion, cluster: Cluster, vm: Vm
) -> None:
    """Its .vmx holds the other, and gives it to the guest again at its next power-on."""
    vmware.publish("w-prod-1", userdata=GuestInfo.scrubbed()[GuestInfo.USER_DATA])
    assert not scrubbed(driver, cluster)
    driver.scrub_boot(vm=vm)
    assert scrubbed(driver, cluster)


@pytest.mark.parametrize("emptied", [True, False])
def test_a_machine_that_has_not_emptied_its_user_data_itself_is_told_in_a_line(
    vmware: Vmware, driver: Fusion, vm: Vm, caplog: pytest.LogCaptureFixture, emptied: bool
) -> None:
    if emptied:
        vmware.publish("w-prod-1", userdata=GuestInfo.scrubbed()[GuestInfo.USER_DATA])
    driver.scrub_boot(vm=vm)
    told = [record.getMessage() for record in caplog.records]
    assert told == ([] if emptied else [GuestInfo.NOT_EMPTIED % "w-prod-1"])


def test_what_a_guest_may_ask_for_is_scrubbed_too(vmware: Vmware, driver: Fusion, vm: Vm) -> None:
    """Of a node that was made by a template without vmtoolsd, for one."""
    assert "userdata" in vmware.running()["w-prod-1"]["guest"]
    driver.scrub_boot(vm=vm)
    assert GuestInfo.is_scrubbed(vmware.running()["w-prod-1"]["guest"]["userdata"])


def test_a_machine_that_takes_no_change_is_told(vmware: Vmware, driver: Fusion, cluster: Cluster, vm: Vm) -> None:
    with vmware.fault("writeVariable", message="Unknown error"), pytest.raises(TargetError):
        driver.scrub_boot(vm=vm)
    assert not scrubbed(driver, cluster)


def test_a_machine_that_is_off_can_be_scrubbed(vmware: Vmware, driver: Fusion, cluster: Cluster, vm: Vm) -> None:
    vmware.vmrun().switch_off(vmware.vm_dir / "w-prod-1.vmwarevm" / "w-prod-1.vmx")
    driver.scrub_boot(vm=vm)
    assert scrubbed(driver, cluster)
    assert SECRET not in vmware.boot_data(vm)


def test_it_may_be_repeated(driver: Fusion, vm: Vm) -> None:
    assert driver.scrub_boot(vm=vm) is True
    assert driver.scrub_boot(vm=vm) is True


def test_the_log_stays_readable(vmware: Vmware, driver: Fusion, vm: Vm) -> None:
    log = vmware.vm_dir / "w-prod-1.vmwarevm" / "vmware.log"
    before = log.read_text().splitlines()
    driver.scrub_boot(vm=vm)
    changed = [line for line, old in zip(log.read_text().splitlines(), before, strict=True) if line != old]
    assert len(changed) == 1


def test_an_old_copy_of_the_file_goes(vmware: Vmware, driver: Fusion, vm: Vm) -> None:
    file = vmware.vm_dir / "w-prod-1.vmwarevm" / "w-prod-1.vmx"
    copy = file.with_name("w-prod-1.vmx~")
    copy.write_bytes(file.read_bytes())
    driver.scrub_boot(vm=vm)
    assert not copy.exists()


def test_a_machine_with_another_stamp_is_left_alone(
    vmware: Vmware, driver: Fusion, vm: Vm, node: Callable[..., Node]
) -> None:
    other = Vm(vm.name, vm.id, vm.power, node(cluster_id="00000000-0000-4000-8000-0000000000bb").stamp)
    with pytest.raises(TargetError, match="left alone"):
        driver.scrub_boot(vm=other)
    assert SECRET in vmware.boot_data(vm)


def test_half_a_machine_is_not_taken_for_a_whole_one(driver: Fusion, cluster: Cluster, vm: Vm) -> None:
    assert vm.stamp
    note.write(Path(vm.id).parent, note.Note(vm.name, vm.stamp, complete=False))
    with pytest.raises(TargetError, match="half there"):
        driver.scrub_boot(vm=vm)
    (seen,) = driver.list_vms(cluster=cluster)
    assert not seen.complete


def test_whether_it_is_done_is_asked_once(vmware: Vmware, driver: Fusion, cluster: Cluster, vm: Vm) -> None:
    driver.scrub_boot(vm=vm)
    scrubbed(driver, cluster)
    vmware.forget_calls()
    assert scrubbed(driver, cluster)
    assert vmware.calls("readVariable", "runtimeConfig") == []
