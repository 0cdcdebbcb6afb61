"""Tasks wait wherever a machine may look next, and are gone from all of it once they are taken away."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers.vmware import Vmware

from kube_provision_core import Cluster, GuestInfo, TargetError, Vm, task_digest
from kube_provision_fusion import tasks, vmx
from kube_provision_fusion.driver import Fusion

SEALED = b"sealed-task \x00\xff\r\n"
MARK = "sealed-task"


def waits(driver: Fusion, cluster: Cluster) -> str:
    (seen,) = driver.list_vms(cluster=cluster)
    return seen.task


@pytest.mark.parametrize("keeps_changes", [True, False])
def test_a_machine_that_stops_and_starts_finds_its_task(
    vmware: Vmware, driver: Fusion, cluster: Cluster, vm: Vm, keeps_changes: bool
) -> None:
    """A machine that stops writes its .vmx anew; whether with what vmrun wrote meanwhile, nobody promises."""
    vmware.be(keeps_changes=keeps_changes)
    driver.deliver_task(vm=vm, task=SEALED)
    vmware.vmrun().switch_off(Path(vm.id))
    assert waits(driver, cluster) == task_digest(SEALED)
    driver.start_vm(vm=vm)
    assert vmware.task(vm) == SEALED


@pytest.mark.parametrize("keeps_changes", [True, False])
def test_a_task_that_was_taken_away_is_not_found_after_the_next_start(
    vmware: Vmware, driver: Fusion, cluster: Cluster, vm: Vm, keeps_changes: bool
) -> None:
    vmware.be(keeps_changes=keeps_changes)
    vmware.vmrun().switch_off(Path(vm.id))
    driver.deliver_task(vm=vm, task=SEALED)
    driver.start_vm(vm=vm)
    driver.deliver_task(vm=vm, task=None)
    assert vmware.places_of(MARK) == []
    vmware.vmrun().switch_off(Path(vm.id))
    assert waits(driver, cluster) == ("" if keeps_changes else task_digest(SEALED)), "what has come back must be told"
    driver.start_vm(vm=vm)
    assert (vmware.task(vm), vmware.places_of(MARK)) == (b"", [])


def test_a_machine_that_is_off_is_given_its_task_without_vmrun_changing_anything(
    vmware: Vmware, driver: Fusion, vm: Vm
) -> None:
    vmware.vmrun().switch_off(Path(vm.id))
    vmware.forget_calls()
    driver.deliver_task(vm=vm, task=SEALED)
    assert vmware.calls("writeVariable") == []
    assert GuestInfo.waiting(vmx.read(Path(vm.id)).get(GuestInfo.TASK)) == SEALED


def test_a_delivery_that_fails_half_way_is_seen_and_may_be_repeated(
    vmware: Vmware, driver: Fusion, cluster: Cluster, vm: Vm
) -> None:
    with vmware.fault("writeVariable", message="Unknown error"), pytest.raises(TargetError):
        driver.deliver_task(vm=vm, task=SEALED)
    assert waits(driver, cluster) == task_digest(SEALED)
    driver.deliver_task(vm=vm, task=SEALED)
    assert vmware.task(vm) == SEALED


def test_a_removal_that_fails_half_way_is_seen_and_may_be_repeated(
    vmware: Vmware, driver: Fusion, cluster: Cluster, vm: Vm
) -> None:
    driver.deliver_task(vm=vm, task=SEALED)
    with vmware.fault("writeVariable", message="Unknown error"), pytest.raises(TargetError):
        driver.deliver_task(vm=vm, task=None)
    assert waits(driver, cluster) == task_digest(SEALED)
    driver.deliver_task(vm=vm, task=None)
    assert (waits(driver, cluster), vmware.places_of(MARK)) == ("", [])


def test_whoever_else_uses_this_computer_cannot_read_what_is_kept(driver: Fusion, vm: Vm) -> None:
    driver.deliver_task(vm=vm, task=SEALED)
    assert Path(vm.id).with_name(tasks.FILE).stat().st_mode & 0o777 == 0o600
