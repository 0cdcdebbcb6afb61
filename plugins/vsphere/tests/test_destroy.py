"""Only what bears the observed stamp is destroyed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from servers.simulator import Machine, Simulator

from kube_provision_core import Boot, Cluster, GuestInfo, Node, Power, TargetError, Vm
from kube_provision_vsphere import stamp
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]


@pytest.fixture
def vm(driver: Vsphere, node: MakeNode, boot: MakeBoot) -> Vm:
    return driver.provision_vm(node(1), boot(node(1)))


def test_a_running_machine_is_powered_off_and_deleted(vcenter: Simulator, driver: Vsphere, vm: Vm) -> None:
    assert driver.destroy_vm(vm) is True
    assert vcenter.machine_names() == []


def test_a_machine_that_is_off_is_deleted(vcenter: Simulator, driver: Vsphere, vm: Vm) -> None:
    driver._target.vcenter.machines.power_off(vm.name, vm.id)
    assert driver.destroy_vm(vm) is True
    assert vcenter.machine_names() == []


@pytest.mark.parametrize("method", ["PowerOffVM_Task", "Destroy_Task"])
def test_a_machine_that_vanishes_meanwhile_is_gone(vcenter: Simulator, driver: Vsphere, vm: Vm, method: str) -> None:
    fields = {"Obj": {"Type": "VirtualMachine", "Value": vm.id}}
    vcenter.fail(method, "w-prod-1", "ManagedObjectNotFound", fields=fields)
    assert driver.destroy_vm(vm) is True


def test_a_machine_that_stops_meanwhile_is_deleted(vcenter: Simulator, driver: Vsphere, vm: Vm) -> None:
    states = {"RequestedState": "poweredOff", "ExistingState": "poweredOff"}
    vcenter.fail("PowerOffVM_Task", "w-prod-1", "InvalidPowerState", fields=states)
    with pytest.raises(TargetError):  # it was on after all: the simulator refuses to delete it
        driver.destroy_vm(vm)
    assert vcenter.counts()["Destroy_Task"] == 1


def test_a_template_that_somebody_made_of_a_machine_is_left_alone(
    vcenter: Simulator, driver: Vsphere, driver_for: Callable[..., Vsphere], cluster: Cluster, vm: Vm
) -> None:
    """A template bears the stamp of the machine that it was."""
    target = driver._target.vcenter
    target.machines.power_off(vm.name, vm.id)
    target.templates.mark(vm.name, vm.id)
    assert [found.stamp for found in driver_for(vcenter).list_vms(cluster)] == [None]
    with pytest.raises(TargetError, match="its stamp is not the one that was observed; it is left alone"):
        driver.destroy_vm(vm)
    assert vcenter.vm("w-prod-1")["template"]


def test_a_machine_whose_stamp_has_changed_is_left_alone(vcenter: Simulator, driver: Vsphere, vm: Vm) -> None:
    assert vm.stamp
    vcenter.publish("w-prod-1", {stamp.STAMP: replace(vm.stamp, cluster_id="another").text})
    with pytest.raises(
        TargetError, match=r"/DC0/vm/k8s/w-prod-1: its stamp is not the one that was observed; it is left alone"
    ):
        driver.destroy_vm(vm)
    assert vcenter.machine_names() == ["w-prod-1"]


def test_a_machine_without_stamp_is_left_alone(vcenter: Simulator, driver: Vsphere, cluster: Cluster) -> None:
    vcenter.create(Machine("k8s/w-prod-1", power_on=True))
    (foreign,) = driver.list_vms(cluster)
    with pytest.raises(TargetError):
        driver.destroy_vm(foreign)
    assert vcenter.vm("w-prod-1")["power"] == "poweredOn"


def test_an_identity_that_never_was_is_gone(driver: Vsphere, vm: Vm) -> None:
    assert driver.destroy_vm(Vm("w-prod-9", "vm-99999", Power.ON, vm.stamp)) is True


def test_scrubbing_keeps_the_metadata(vcenter: Simulator, driver: Vsphere, vm: Vm, cluster: Cluster) -> None:
    before = vcenter.vm("w-prod-1")["extra_config"]
    assert driver.scrub_boot(vm) is True
    after = vcenter.vm("w-prod-1")["extra_config"]
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    assert changed == {"guestinfo.userdata", stamp.SCRUBBED}
    assert driver.list_vms(cluster)[0].scrubbed


def test_user_data_that_somebody_puts_back_is_seen_and_scrubbed_again(
    driver_for: Callable[..., Vsphere], vcenter: Simulator, driver: Vsphere, vm: Vm, cluster: Cluster
) -> None:
    full = vcenter.vm("w-prod-1")["extra_config"]["guestinfo.userdata"]
    driver.scrub_boot(vm)
    assert driver.list_vms(cluster)[0].scrubbed
    vcenter.publish("w-prod-1", {"guestinfo.userdata": full})
    for looking in (driver, driver_for(vcenter)):
        assert not looking.list_vms(cluster)[0].scrubbed
    driver.scrub_boot(vm)
    assert driver.list_vms(cluster)[0].scrubbed


@pytest.mark.parametrize("emptied", [True, False])
def test_a_machine_that_has_not_emptied_its_user_data_itself_is_told_in_a_line(
    vcenter: Simulator, driver: Vsphere, vm: Vm, caplog: pytest.LogCaptureFixture, emptied: bool
) -> None:
    if emptied:
        vcenter.publish("w-prod-1", GuestInfo.scrubbed())
    driver.scrub_boot(vm)
    assert [record.getMessage() for record in caplog.records] == ([] if emptied else [GuestInfo.NOT_EMPTIED % "w-prod-1"])


def test_a_machine_that_is_off_has_forgotten_what_it_emptied_itself_and_nothing_is_told_of_it(
    driver: Vsphere, vm: Vm, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    driver._target.vcenter.machines.power_off(vm.name, vm.id)
    driver.scrub_boot(vm)
    assert driver.list_vms(cluster)[0].scrubbed
    assert not caplog.records


def test_what_a_node_has_emptied_itself_is_still_replaced_in_its_configuration(
    vcenter: Simulator, driver: Vsphere, vm: Vm, cluster: Cluster
) -> None:
    vcenter.publish("w-prod-1", {"guestinfo.userdata": GuestInfo.scrubbed()["guestinfo.userdata"]})
    assert not driver.list_vms(cluster)[0].scrubbed
