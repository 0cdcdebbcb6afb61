"""What concerns machines together: masters apart, DRS groups, custom attributes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from servers.simulator import Inventory, Simulator

from kube_provision_core import Boot, Cluster, Node, Role, TargetError, Vm
from kube_provision_vsphere.arrange import rule_name
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]
Make = Callable[..., list[Vm]]

RULE = "kube-provision-prod-masters"
LACKING = {"PrivilegeId": "Host.Inventory.EditCluster"}


@pytest.fixture
def make(node: MakeNode, boot: MakeBoot) -> Make:
    """A function that makes masters and workers and returns the cluster's machines."""

    def run(driver: Vsphere, masters: int, workers: int = 0) -> list[Vm]:
        nodes = [node(index, Role.MASTER) for index in range(1, masters + 1)]
        nodes += [node(index) for index in range(1, workers + 1)]
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda one: driver.provision_vm(one, boot(one)), nodes))

    return run


def rules(vcenter: Simulator) -> dict[str, list[str]]:
    found = vcenter.clusters()["DC0_C0"]["rules"]
    assert all((rule["kind"], rule["enabled"]) == ("anti-affinity", True) for rule in found)
    return {rule["name"]: rule["vms"] for rule in found}


def test_no_two_roles_of_any_clusters_share_a_rule() -> None:
    roles = [Role.MASTER, Role.WORKER, *map(Role.of_pool, ("masters", "gpu", "gpu-masters"))]
    names = [rule_name(cluster, role) for cluster in ("prod", "prod-gpu", "prod-masters") for role in roles]
    assert len({*names}) == len(names)


def test_masters_are_kept_apart(vcenter: Simulator, driver: Vsphere, make: Make, cluster: Cluster) -> None:
    assert driver.arrange_vms(cluster, make(driver, 3, 2)) is True
    assert rules(vcenter) == {RULE: ["m-prod-1", "m-prod-2", "m-prod-3"]}


def test_arranging_again_changes_nothing(vcenter: Simulator, driver: Vsphere, make: Make, cluster: Cluster) -> None:
    vms = make(driver, 3)
    driver.arrange_vms(cluster, vms)
    vcenter.reset_counts()
    driver.arrange_vms(cluster, vms)
    assert vcenter.counts() == {"RetrievePropertiesEx": 1}


def test_new_masters_join_the_rule(vcenter: Simulator, driver: Vsphere, make: Make, cluster: Cluster) -> None:
    driver.arrange_vms(cluster, make(driver, 2))
    driver.arrange_vms(cluster, make(driver, 3))
    assert rules(vcenter) == {RULE: ["m-prod-1", "m-prod-2", "m-prod-3"]}


def test_one_master_needs_no_rule(vcenter: Simulator, driver: Vsphere, make: Make, cluster: Cluster) -> None:
    driver.arrange_vms(cluster, make(driver, 1, 1))
    assert rules(vcenter) == {}


def test_machines_of_others_are_left_out(vcenter: Simulator, driver: Vsphere, make: Make, cluster: Cluster) -> None:
    foreign = Vm("m-prod-9", "vm-1", make(driver, 2)[0].power, None)
    driver.arrange_vms(cluster, [*make(driver, 2), foreign])
    assert rules(vcenter) == {RULE: ["m-prod-1", "m-prod-2"]}


def test_the_rule_of_another_cluster_of_the_same_name_stays(
    vcenter: Simulator, driver: Vsphere, make: Make, cluster: Cluster
) -> None:
    theirs = make(driver, 2)
    driver.arrange_vms(cluster, theirs)
    driver.arrange_vms(replace(cluster, id="another"), theirs)
    assert rules(vcenter) == {RULE: ["m-prod-1", "m-prod-2"]}


def test_too_few_hosts_are_noted(
    simulate: Callable[..., Simulator],
    driver_for: MakeDriver,
    make: Make,
    cluster: Cluster,
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver = driver_for(simulate(inventory=Inventory(hosts=2)))
    with caplog.at_level(logging.WARNING):
        driver.arrange_vms(cluster, make(driver, 3))
    assert "cluster DC0_C0 has 2 hosts for 3 masters" in caplog.text


def test_a_race_for_the_configuration_is_run_again(
    vcenter: Simulator, driver: Vsphere, make: Make, cluster: Cluster, quick: None
) -> None:
    vms = make(driver, 3)
    vcenter.fail("ReconfigureComputeResource_Task", fault="ConcurrentAccess", times=2)
    driver.arrange_vms(cluster, vms)
    assert rules(vcenter) == {RULE: ["m-prod-1", "m-prod-2", "m-prod-3"]}


def test_two_runs_at_once_both_succeed(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster, quick: None
) -> None:
    drivers = [driver_for(vcenter) for _ in range(4)]
    vms = make(drivers[0], 3)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda driver: driver.arrange_vms(cluster, vms), drivers)) == [True] * 4
    assert rules(vcenter) == {RULE: ["m-prod-1", "m-prod-2", "m-prod-3"]}


def test_a_race_that_never_ends_is_told(
    vcenter: Simulator, driver: Vsphere, make: Make, cluster: Cluster, quick: None
) -> None:
    vms = make(driver, 2)
    vcenter.fail("ReconfigureComputeResource_Task", fault="ConcurrentAccess")
    with pytest.raises(TargetError, match=f"DRS rule {RULE}"):
        driver.arrange_vms(cluster, vms)


def test_an_account_that_may_not_keep_masters_apart_is_warned_and_goes_on(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    driver = driver_for(vcenter, vm_attributes={"owner": "team-a"})
    vms = make(driver, 2)
    vcenter.fail("ReconfigureComputeResource_Task", fault="NoPermission", fields=LACKING)
    assert driver.arrange_vms(cluster, vms) is True
    (line,) = caplog.messages
    assert "lacks the privilege Host.Inventory.EditCluster" in line
    assert line.endswith("masters may share a host. Grant it, or see to them yourself")
    assert (vcenter.counts()["ReconfigureComputeResource_Task"], vcenter.counts()["SetField"]) == (1, 2)


def test_a_missing_privilege_for_groups_that_are_asked_for_is_an_error(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, make: Make, cluster: Cluster
) -> None:
    vcenter = simulate(inventory=Inventory(vm_groups=["all"]))
    driver = driver_for(vcenter, vm_groups=["all"])
    vms = make(driver, 1)
    vcenter.fail("ReconfigureComputeResource_Task", fault="NoPermission", fields=LACKING)
    with pytest.raises(TargetError, match=r"lacks the privilege Host\.Inventory\.EditCluster"):
        driver.arrange_vms(cluster, vms)
    assert vcenter.counts()["ReconfigureComputeResource_Task"] == 1


def test_destroying_the_masters_removes_the_rule(vcenter: Simulator, driver: Vsphere, make: Make, cluster: Cluster) -> None:
    vms = make(driver, 3, 1)
    driver.arrange_vms(cluster, vms)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(driver.destroy_vm, vms))
    assert rules(vcenter) == {}
    assert vcenter.machine_names() == []


def test_destroying_one_of_three_masters_keeps_the_rule(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster
) -> None:
    driver = driver_for(vcenter)
    vms = make(driver, 3)
    driver.arrange_vms(cluster, vms)
    driver_for(vcenter).destroy_vm(vms[0])
    assert rules(vcenter) == {RULE: ["m-prod-2", "m-prod-3"]}


def test_a_rule_that_cannot_be_removed_keeps_nobody_from_destroying(
    vcenter: Simulator, driver: Vsphere, make: Make, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    vms = make(driver, 2)
    driver.arrange_vms(cluster, vms)
    vcenter.fail("ReconfigureComputeResource_Task", fault="NoPermission", fields=LACKING)
    assert all(driver.destroy_vm(vm) for vm in vms)
    assert vcenter.machine_names() == []
    assert f"remove the rule {RULE} by hand" in caplog.text


def test_machines_join_their_groups(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, make: Make, cluster: Cluster
) -> None:
    vcenter = simulate(inventory=Inventory(vm_groups=["all", "workers"]))
    driver = driver_for(vcenter, vm_groups=["all"], roles={Role.WORKER: {"vm_groups": ["all", "workers"]}})
    driver.arrange_vms(cluster, make(driver, 1, 1))
    driver.arrange_vms(cluster, make(driver, 1, 2))
    assert vcenter.clusters()["DC0_C0"]["groups"] == {
        "all": ["m-prod-1", "w-prod-1", "w-prod-2"],
        "workers": ["w-prod-1", "w-prod-2"],
    }


def test_attributes_are_set_once(vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster) -> None:
    driver = driver_for(vcenter, vm_attributes={"owner": "team-a"}, roles={Role.MASTER: {"vm_attributes": {}}})
    vms = make(driver, 1, 2)
    driver.arrange_vms(cluster, vms)
    first = vcenter.counts()
    driver.arrange_vms(cluster, vms)
    counts: dict[str, Any] = vcenter.counts()
    assert (first["AddCustomFieldDef"], first["SetField"]) == (1, 2)
    assert (counts["AddCustomFieldDef"], counts["SetField"]) == (1, 2)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not pause between attempts."""
    from kube_provision_vsphere.client import cluster

    monkeypatch.setattr(cluster, "PAUSE", 0.01)


def test_workers_are_kept_apart_where_that_is_wished_for(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster
) -> None:
    driver = driver_for(vcenter, keep_workers_apart=True)
    vms = make(driver, 2, 2)
    driver.arrange_vms(cluster, vms)
    both = {RULE: ["m-prod-1", "m-prod-2"], "kube-provision-prod.workers": ["w-prod-1", "w-prod-2"]}
    assert rules(vcenter) == both
    assert not any(rule["mandatory"] for rule in vcenter.clusters()["DC0_C0"]["rules"])
    driver.destroy_vm(next(vm for vm in vms if vm.name == "w-prod-1"))
    assert rules(vcenter) == {RULE: ["m-prod-1", "m-prod-2"]}


def test_more_workers_than_hosts_are_nothing_to_note(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    driver = driver_for(vcenter, keep_workers_apart=True)
    driver.arrange_vms(cluster, make(driver, 0, 4))
    assert len(rules(vcenter)["kube-provision-prod.workers"]) == 4
    assert not caplog.messages


def test_a_missing_privilege_to_keep_workers_apart_is_an_error(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster
) -> None:
    driver = driver_for(vcenter, keep_workers_apart=True)
    vms = make(driver, 0, 2)
    vcenter.fail("ReconfigureComputeResource_Task", fault="NoPermission", fields=LACKING)
    with pytest.raises(TargetError, match=r"lacks the privilege Host\.Inventory\.EditCluster"):
        driver.arrange_vms(cluster, vms)
