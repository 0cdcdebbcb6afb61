"""A copy bears the stamp of the machine that it was made of, as vCenter copies all of extraConfig, and is none of ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from servers.simulator import Simulator

from kube_provision_core import Boot, Cluster, Node, Power, TargetError, Vm
from kube_provision_vsphere import stamp
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]
COPY = "k8s/w-prod-1-before-upgrade"


@pytest.fixture
def vm(driver: Vsphere, node: MakeNode, boot: MakeBoot) -> Vm:
    return driver.provision_vm(node(1), boot(node(1)))


def seen(driver: Vsphere, cluster: Cluster) -> dict[str, Vm]:
    return {vm.name: vm for vm in driver.list_vms(cluster)}


@pytest.mark.parametrize("again", [False, True], ids=["inventory", "scan"])
def test_a_copy_is_told_from_its_original(
    vcenter: Simulator,
    driver_for: MakeDriver,
    cluster: Cluster,
    vm: Vm,
    monkeypatch: pytest.MonkeyPatch,
    again: bool,
) -> None:
    vcenter.copy("w-prod-1", COPY)
    assert vcenter.vm("w-prod-1-before-upgrade")["extra_config"][stamp.STAMP] == vm.stamp.text
    looking = driver_for(vcenter)
    if again:
        monkeypatch.setattr("kube_provision_vsphere.fleet.SCAN_SECONDS", 0.0)
        looking.list_vms(cluster)
    found = seen(looking, cluster)
    assert {name: (one.stamp, one.copy) for name, one in found.items()} == {
        "w-prod-1": (vm.stamp, False),
        "w-prod-1-before-upgrade": (None, True),
    }


def test_a_copy_is_not_destroyed_even_with_its_originals_stamp(
    vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster, vm: Vm
) -> None:
    vcenter.copy("w-prod-1", COPY)
    driver = driver_for(vcenter)
    copied = seen(driver, cluster)["w-prod-1-before-upgrade"]
    claimed = Vm(copied.name, copied.id, Power.OFF, vm.stamp)
    for change in (driver.destroy_vm, driver.scrub_boot):
        with pytest.raises(TargetError, match="its stamp is not the one that was observed; it is left alone"):
            change(claimed)
    driver.destroy_vm(vm)
    assert vcenter.machine_names() == ["w-prod-1-before-upgrade"]


def test_a_copy_is_not_taken_over_in_its_originals_place(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, vm: Vm
) -> None:
    vcenter.copy("w-prod-1", "k8s/w-prod-2")
    with pytest.raises(TargetError, match="w-prod-2: this machine bears the name w-prod-2 and is not one of cluster prod's"):
        driver_for(vcenter).provision_vm(node(2), boot(node(2)))
    assert vcenter.vm("w-prod-2")["power"] == "poweredOff"


def test_a_machine_of_an_earlier_version_is_still_ours(
    vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster, vm: Vm
) -> None:
    vcenter.publish("w-prod-1", {stamp.INSTANCE: ""})
    driver = driver_for(vcenter)
    assert seen(driver, cluster)["w-prod-1"].stamp == vm.stamp
    assert driver.destroy_vm(vm) is True
    assert vcenter.machine_names() == []


def test_machines_of_a_template_that_was_made_of_one_are_no_copies(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster, vm: Vm
) -> None:
    vcenter.copy("w-prod-1", "golden")
    golden = vcenter.vm("golden")
    maker = driver_for(vcenter)
    maker._target.vcenter.templates.mark("golden", golden["id"])
    driver = driver_for(vcenter, template="golden")
    made = driver.provision_vm(node(2), boot(node(2)))
    assert seen(driver_for(vcenter), cluster)["w-prod-2"].stamp == made.stamp


def test_a_server_that_chooses_identities_itself_has_the_chosen_one_noted(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    vcenter = simulate(clone_ignores=["instance"])
    maker = driver_for(vcenter)
    for index in range(1, 10):  # more than are looked at before a server's word is taken
        maker.provision_vm(node(index), boot(node(index)))
    assert all(vm.stamp for vm in seen(driver_for(vcenter), cluster).values())
    vcenter.copy("w-prod-9", COPY)
    assert seen(driver_for(vcenter), cluster)["w-prod-1-before-upgrade"].copy
