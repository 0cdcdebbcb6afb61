"""Tasks on their way: few calls, in one step, and to the machine that was meant."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers.simulator import Machine as Foreign
from servers.simulator import Simulator

from kube_provision_core import Cluster, GuestInfo, TargetError, Vm, task_digest
from kube_provision_vsphere import stamp
from kube_provision_vsphere.driver import PARALLEL, Vsphere

pytestmark = pytest.mark.integration

MACHINES = 200
SEALED = b"sealed" * 4000


def of_cluster(vcenter: Simulator, node: Callable[..., object], count: int) -> None:
    """Machines as a run has made them, for a moment's work."""
    for index in range(1, count + 1):
        vcenter.create(Foreign(f"k8s/w-prod-{index}"))
        vcenter.publish(f"w-prod-{index}", {stamp.STAMP: node(index).stamp.text})  # type: ignore[attr-defined]


def calls(vcenter: Simulator, driver: Vsphere, vms: Sequence[Vm], task: bytes | None) -> int:
    vcenter.reset_counts()
    with ThreadPoolExecutor(PARALLEL) as pool:
        assert all(pool.map(lambda vm: driver.deliver_task(vm=vm, task=task), vms))
    counts = vcenter.counts()
    assert counts["ReconfigVM_Task"] == len(vms)
    return sum(counts.values())


def test_delivering_to_many_machines_and_taking_away_again_is_about_a_call_each(
    simulate: Callable[..., Simulator],
    driver_for: Callable[..., Vsphere],
    node: Callable[..., object],
    cluster: Cluster,
) -> None:
    vcenter = simulate(call_delay=0.02)
    of_cluster(vcenter, node, MACHINES)
    driver = driver_for(vcenter)
    vms = driver.list_vms(cluster=cluster)
    assert len(vms) == MACHINES
    delivered = calls(vcenter, driver, vms, SEALED)
    vcenter.reset_counts()
    assert {vm.task for vm in driver.list_vms(cluster=cluster)} == {task_digest(SEALED)}
    assert sum(vcenter.counts().values()) == 1, "which tasks wait, one look tells"
    taken_away = calls(vcenter, driver, vms, None)
    assert {vm.task for vm in driver.list_vms(cluster=cluster)} == {""}
    print(f"{MACHINES} machines: {delivered} calls to deliver, {taken_away} to take away")
    assert delivered + taken_away <= 2.2 * MACHINES


def test_the_task_and_which_one_it_is_come_and_go_in_one_step(
    vcenter: Simulator, driver: Vsphere, node: Callable[..., object], cluster: Cluster
) -> None:
    of_cluster(vcenter, node, 1)
    (vm,) = driver.list_vms(cluster=cluster)
    driver.deliver_task(vm=vm, task=SEALED)
    held = vcenter.vm("w-prod-1")["extra_config"]
    assert held[GuestInfo.TASK] == base64.b64encode(SEALED).decode()
    assert held[stamp.TASK] == task_digest(SEALED)
    driver.deliver_task(vm=vm, task=None)
    assert not {GuestInfo.TASK, stamp.TASK} & vcenter.vm("w-prod-1")["extra_config"].keys()
    assert vcenter.counts()["ReconfigVM_Task"] == 2


def test_what_a_guest_puts_in_the_tasks_place_stops_no_look(
    vcenter: Simulator, driver: Vsphere, node: Callable[..., object], cluster: Cluster
) -> None:
    of_cluster(vcenter, node, 1)
    vcenter.publish("w-prod-1", {GuestInfo.TASK: "no base64 at all", stamp.TASK: "no digest"})
    (vm,) = driver.list_vms(cluster=cluster)
    assert vm.task == ""
    driver.deliver_task(vm=vm, task=SEALED)
    assert driver.list_vms(cluster=cluster)[0].task == task_digest(SEALED)


def test_a_delivery_that_vcenter_refuses_is_told_and_nothing_waits(
    vcenter: Simulator, driver: Vsphere, node: Callable[..., object], cluster: Cluster
) -> None:
    of_cluster(vcenter, node, 1)
    (vm,) = driver.list_vms(cluster=cluster)
    vcenter.fail("ReconfigVM_Task", "w-prod-1", "GenericVmConfigFault", message="The host is busy.")
    with pytest.raises(TargetError, match=r"^w-prod-1: change the task that waits: The host is busy\."):
        driver.deliver_task(vm=vm, task=SEALED)
    assert driver.list_vms(cluster=cluster)[0].task == ""
