"""Storage policies: which datastore is taken, what a machine is made with, and what is told before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from servers.simulator import Inventory, Simulator

from kube_provision_core import Boot, Node, TargetError
from kube_provision_vsphere.client.policies import read_policies
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]
Check = Callable[..., list[str]]

POLICIES = {"gold": ["LocalDS_1"], "silver": ["LocalDS_0", "LocalDS_1"], "mirrored": []}


@pytest.fixture
def vcenter(simulate: Callable[..., Simulator]) -> Simulator:
    return simulate(inventory=Inventory(datastores=2, policies=POLICIES))


@pytest.fixture
def check(driver_for: MakeDriver, node: MakeNode, boot: MakeBoot) -> Check:
    return lambda vcenter, **keys: list(driver_for(vcenter, **keys).preflight([(node(1), boot(node(1)))]))


@pytest.mark.parametrize("keys", [{}, {"linked_clone": True}])
def test_a_machine_goes_where_the_policy_is_satisfied_and_all_of_its_disks_have_it(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, keys: dict[str, Any]
) -> None:
    one = node(1, data_volumes_gib=(5, 7))
    driver_for(vcenter, storage_policy="gold", **keys).provision_vm(one, boot(one))
    made = vcenter.vm("w-prod-1")
    assert [disk["file"].partition(" ")[0] for disk in made["disks"]] == ["[LocalDS_1]"] * 3
    assert len(made["policies"]) == 4  # the machine's own files, the template's disk, the data volumes
    assert len(set(made["policies"])) == 1


def test_without_one_nobody_asks_for_policies(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    driver_for(vcenter).provision_vm(node(1), boot(node(1)))
    assert vcenter.vm("w-prod-1")["policies"] == []
    assert not [method for method in vcenter.counts() if method.startswith("Pbm")]


def test_a_datastore_that_is_named_must_satisfy_it(vcenter: Simulator, check: Check) -> None:
    assert check(vcenter, storage_policy="silver", datastore="LocalDS_0") == []
    assert check(vcenter, storage_policy="gold", datastore="LocalDS_0") == [
        "storage_policy: datastore 'LocalDS_0' does not satisfy 'gold'"
    ]


def test_some_datastore_must_satisfy_it(vcenter: Simulator, check: Check) -> None:
    assert check(vcenter, storage_policy="mirrored") == ["storage_policy: no datastore in reach satisfies 'mirrored'"]


def test_of_a_datastore_cluster_those_are_taken_that_satisfy_it(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(inventory=Inventory(datastores=3, policies=POLICIES, datastore_cluster="fast"))
    driver = driver_for(vcenter, storage_policy="gold", datastore="fast")
    for index in (1, 2):
        driver.provision_vm(node(index), boot(node(index)))
    assert {tuple(vcenter.vm(f"w-prod-{index}")["datastores"]) for index in (1, 2)} == {("LocalDS_1",)}


def test_a_policy_that_does_not_exist_is_told_with_those_that_do(vcenter: Simulator, check: Check) -> None:
    (line,) = check(vcenter, storage_policy="golden")
    assert line.startswith("storage_policy: there is no storage policy 'golden'; vCenter has: ")
    assert ", gold, mirrored, silver" in line


def test_an_account_that_may_not_see_policies_is_told(vcenter: Simulator, check: Check) -> None:
    fields = {"PrivilegeId": "StorageProfile.View"}
    vcenter.fail("PbmQueryProfile", fault="NoPermission", fields=fields)
    with pytest.raises(TargetError, match=r"read storage policies: .*StorageProfile\.View"):
        check(vcenter, storage_policy="gold")


def test_a_session_that_expires_is_renewed_for_policies_too(vcenter: Simulator, driver_for: MakeDriver) -> None:
    driver = driver_for(vcenter)
    inventory = driver._target.inventory()
    vcenter.expire_sessions()
    found = read_policies(driver._target.vcenter.session, {"gold"}, [item.id for item in inventory.all("Datastore")])
    assert [len(policy.datastores) for policy in found if policy.name == "gold"] == [1]
