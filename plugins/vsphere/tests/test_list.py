"""What a look at the machines shows, and what it costs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers.simulator import STATUS_KEY, Guest, Machine, Simulator

from kube_provision_core import Boot, Cluster, Node, NodeStatus, Role, Stage, Vm
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]

LIMIT = 60.0


def await_address(driver: Vsphere, cluster: Cluster, name: str) -> Vm:
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        vm = next(vm for vm in driver.list_vms(cluster) if vm.name == name)
        if vm.address:
            return vm
        time.sleep(0.05)
    raise AssertionError(f"{name} has no address after {LIMIT:.0f} s")


def await_notice(driver: Vsphere, cluster: Cluster, notice: str) -> None:
    end = time.monotonic() + LIMIT
    (vm,) = driver.list_vms(cluster)
    while vm.notice != notice:
        assert time.monotonic() < end, f"{vm.notice!r} is said after {LIMIT:.0f} s"
        time.sleep(0.05)
        (vm,) = driver.list_vms(cluster)
    assert not vm.addresses


@pytest.mark.parametrize("machines", [3, 24])
def test_the_number_of_calls_does_not_depend_on_the_number_of_machines(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster, machines: int
) -> None:
    maker = driver_for(vcenter)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: maker.provision_vm(node(index), boot(node(index))), range(1, machines + 1)))
    driver = driver_for(vcenter)
    assert len(driver.list_vms(cluster)) == machines
    vcenter.reset_counts()
    driver.list_vms(cluster)
    assert vcenter.counts() == {"RetrievePropertiesEx": 1}


def test_a_machine_that_runs_tells_since_when_without_a_further_call(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    before = time.time()
    maker, driver = driver_for(vcenter), driver_for(vcenter)
    made = maker.provision_vm(node(1), boot(node(1)))
    (found,) = driver.list_vms(cluster)
    assert before - 1 < (found.on_since or 0) < time.time() + 1
    vcenter.reset_counts()
    (again,) = driver.list_vms(cluster)
    assert (vcenter.counts(), again.on_since) == ({"RetrievePropertiesEx": 1}, found.on_since)
    maker._target.vcenter.machines.power_off(made.name, made.id)
    assert [vm.on_since for vm in driver.list_vms(cluster)] == [None]


def test_pages_are_fetched_to_the_end(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    vcenter = simulate(page_size=2)
    driver = driver_for(vcenter)
    for index in range(1, 6):
        driver.provision_vm(node(index), boot(node(index)))
    assert len(driver_for(vcenter).list_vms(cluster)) == 5
    assert vcenter.counts()["ContinueRetrievePropertiesEx"] > 0


def test_the_address_is_that_of_the_machines_card(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    vcenter = simulate(guests=[Guest(addresses=["10.244.3.0", "10.0.0.5", "2001:db8::5"], address_delay=0)])
    driver = driver_for(vcenter)
    driver.provision_vm(node(1), boot(node(1)))
    assert await_address(driver, cluster, "w-prod-1").addresses == ("10.0.0.5",)


def test_an_ipv6_address_that_is_there_first_does_not_end_the_wait(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    vcenter = simulate(guests=[Guest(before=["2001:db8::7"], addresses=["10.0.0.5"], address_delay=5)])
    driver = driver_for(vcenter)
    driver.provision_vm(node(1), boot(node(1)))
    await_notice(driver, cluster, "only IPv6 so far: 2001:db8::7")
    assert await_address(driver, cluster, "w-prod-1").addresses == ("10.0.0.5",)


def test_a_static_address_is_awaited_and_an_unexpected_one_is_named(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    vcenter = simulate(guests=[Guest(before=["10.50.0.18"], network="")])
    driver = driver_for(vcenter, static_ip={"addresses": ["10.60.0.5/24"]})
    driver.provision_vm(node(1), boot(node(1)))
    await_notice(driver, cluster, "10.50.0.18 is not the configured 10.60.0.5")
    changed = driver_for(vcenter, static_ip={"addresses": ["10.60.0.99/24"]})
    await_notice(changed, cluster, "10.50.0.18 is not the configured 10.60.0.5")  # it was made with this one


def test_a_pulled_cable_is_told(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    vcenter = simulate(guests=[Guest(disconnected=True, network="", address_delay=5)])
    driver = driver_for(vcenter)
    driver.provision_vm(node(1), boot(node(1)))
    await_notice(driver, cluster, "guest tools do not run")
    await_notice(driver, cluster, "network card 1 is not connected")


def test_only_addresses_of_the_subnet_count(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    vcenter = simulate(guests=[Guest(addresses=["192.168.0.5", "10.0.0.5"], address_delay=0)])
    driver = driver_for(vcenter, wait_for_ip_address_subnet="10.0.0.0/8")
    driver.provision_vm(node(1), boot(node(1)))
    assert await_address(driver, cluster, "w-prod-1").addresses == ("10.0.0.5",)


def test_a_known_address_stays_known_and_is_gone_with_the_power(
    vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    vm = driver.provision_vm(node(1), boot(node(1)))
    address = await_address(driver, cluster, "w-prod-1").address
    assert driver.list_vms(cluster)[0].address == address
    driver._target.vcenter.machines.power_off(vm.name, vm.id)
    assert driver.list_vms(cluster)[0].address is None


def test_what_a_node_publishes_is_seen(
    vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    driver.provision_vm(node(1), boot(node(1)))
    assert driver.list_vms(cluster)[0].status is None
    vcenter.publish("w-prod-1", {STATUS_KEY: json.dumps({"stage": "join", "state": "failed", "error": "no master"})})
    assert driver.list_vms(cluster)[0].status == NodeStatus(Stage.JOIN, "failed", "no master")


def test_a_foreign_machine_of_another_folder_is_seen(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, cluster: Cluster
) -> None:
    vcenter = simulate(machines=[Machine("other/w-prod-1", power_on=True), Machine("other/unrelated")])
    (vm,) = driver_for(vcenter).list_vms(cluster)
    assert (vm.name, vm.stamp, vm.where) == ("w-prod-1", None, "/DC0/vm/other/w-prod-1")


def test_a_machine_of_the_cluster_that_is_not_needed_is_seen(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    driver_for(vcenter).provision_vm(node(77), boot(node(77)))
    assert [vm.name for vm in driver_for(vcenter).list_vms(cluster)] == ["w-prod-77"]


def test_a_machine_that_somebody_destroyed_is_gone(
    vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    driver.provision_vm(node(1), boot(node(1)))
    driver.list_vms(cluster)
    vcenter.destroy("w-prod-1")
    assert list(driver.list_vms(cluster)) == []


def test_the_stamp_says_who_carries_the_authorities(
    vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    carrier = node(1, Role.MASTER, carries_ca=True)
    driver.provision_vm(carrier, boot(carrier))
    assert driver.list_vms(cluster)[0].stamp == carrier.stamp
