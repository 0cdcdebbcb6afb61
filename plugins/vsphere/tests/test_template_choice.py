"""Which template is cloned, and which of its snapshots: a named one, and a template of another datacenter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from servers.simulator import Inventory, Simulator, Template

from kube_provision_core import Boot, Cluster, Node, Role
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]
Simulate = Callable[..., Simulator]

ELSEWHERE = "/DC1/vm/golden/ubuntu"


@pytest.fixture
def with_snapshots(simulate: Simulate) -> Simulator:
    return simulate(templates=[Template("ubuntu", snapshot="newest", earlier_snapshots=["first", "twice", "twice"])])


@pytest.fixture
def two_datacenters(simulate: Simulate) -> Simulator:
    templates = [Template("ubuntu"), Template("golden/ubuntu", datacenter="DC1", disk_gib=20)]
    return simulate(templates=templates, inventory=Inventory(datacenters=2))


@pytest.fixture
def check(driver_for: MakeDriver, node: MakeNode, boot: MakeBoot) -> Callable[..., list[str]]:
    return lambda vcenter, **keys: list(driver_for(vcenter, **keys).preflight([(node(1), boot(node(1)))]))


@pytest.mark.parametrize(("keys", "built_on"), [({}, "newest"), ({"snapshot": "first"}, "first")])
def test_a_linked_clone_builds_on_the_current_snapshot_or_the_one_that_is_named(
    with_snapshots: Simulator,
    driver_for: MakeDriver,
    node: MakeNode,
    boot: MakeBoot,
    keys: dict[str, Any],
    built_on: str,
) -> None:
    driver_for(with_snapshots, linked_clone=True, **keys).provision_vm(node(1), boot(node(1)))
    made = with_snapshots.vm("w-prod-1")
    assert made["linked_to"] == built_on
    assert [disk["linked"] for disk in made["disks"]] == [True]


@pytest.mark.parametrize(
    ("name", "fault"), [("second", "no snapshot 'second'"), ("twice", "more than one snapshot 'twice'")]
)
def test_a_snapshot_that_is_not_one_is_told(
    with_snapshots: Simulator, check: Callable[..., list[str]], name: str, fault: str
) -> None:
    assert check(with_snapshots, linked_clone=True, snapshot=name) == [
        f"snapshot: template /DC0/vm/ubuntu has {fault}; it has: first, twice, twice, newest"
    ]


def test_a_template_without_any_is_told_so(simulate: Simulate, check: Callable[..., list[str]]) -> None:
    (line,) = check(simulate(templates=[Template("ubuntu", snapshot="")]), linked_clone=True, snapshot="first")
    assert line.startswith("linked_clone: template /DC0/vm/ubuntu has no snapshot to link to;")


def test_a_template_of_another_datacenter_is_named_by_its_full_path(
    two_datacenters: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    keys = {"datastore": "/DC0/datastore/LocalDS_0", "network": "VM Network"}
    driver = driver_for(two_datacenters, datacenter="DC0", template=ELSEWHERE, **keys)
    assert list(driver.preflight([(node(1), boot(node(1)))])) == []
    driver.provision_vm(node(1), boot(node(1)))
    made = two_datacenters.vms()["/DC0/vm/k8s/w-prod-1"]
    assert [disk["gib"] for disk in made["disks"]] == [20]
    assert [vm.name for vm in driver.list_vms(cluster)] == ["w-prod-1"]


def test_machines_of_another_datacenter_are_none_of_ours(
    two_datacenters: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    other = driver_for(two_datacenters, datacenter="DC1", template="golden/ubuntu", folder=None)
    other.provision_vm(node(1), boot(node(1)))
    driver = driver_for(two_datacenters, datacenter="DC0", template=ELSEWHERE, datastore="/DC0/datastore/LocalDS_0")
    assert list(driver.list_vms(cluster)) == []


def test_what_is_missing_there_is_told(two_datacenters: Simulator, check: Callable[..., list[str]]) -> None:
    (line,) = check(two_datacenters, datacenter="DC0", template="/DC1/vm/golden/debian")
    assert line == (
        "template: there is no template '/DC1/vm/golden/debian', or the account may not see it; did you mean 'ubuntu'?"
    )


def test_a_name_alone_means_the_own_datacenter(two_datacenters: Simulator, check: Callable[..., list[str]]) -> None:
    assert check(two_datacenters, datacenter="DC0", template="ubuntu") == []
    (line,) = check(two_datacenters, datacenter="DC0", template="golden/ubuntu")
    assert line.startswith("template: there is no template 'golden/ubuntu'")


def test_a_failure_domain_may_have_a_copy_on_its_own_datastore(
    simulate: Simulate, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(templates=[Template("ubuntu"), Template("copies/ubuntu-b", disk_gib=12)])
    driver = driver_for(vcenter, failure_domains={"zone-b": {"template": "ubuntu-b"}})
    one = replace(node(1), failure_domain=driver.failure_domains[Role.WORKER][0])
    driver.provision_vm(one, boot(one))
    assert [disk["gib"] for disk in vcenter.vm("w-prod-1")["disks"]] == [12]


@pytest.mark.parametrize(
    ("keys", "firmware", "secure"),
    [
        ({}, "efi", False),
        ({"firmware": "bios"}, "bios", False),
        ({"firmware": "efi"}, "efi", False),
        ({"firmware": "efi-secure-boot"}, "efi", True),
    ],
)
def test_a_machine_boots_by_the_templates_firmware_or_the_one_that_is_named(
    simulate: Simulate,
    driver_for: MakeDriver,
    node: MakeNode,
    boot: MakeBoot,
    keys: dict[str, Any],
    firmware: str,
    secure: bool,
) -> None:
    vcenter = simulate(templates=[Template("ubuntu", firmware="efi")])
    driver_for(vcenter, **keys).provision_vm(node(1), boot(node(1)))
    made = vcenter.vm("w-prod-1")
    assert (made["firmware"], made["secure_boot"]) == (firmware, secure)


def test_secure_boot_needs_hardware_that_has_it(simulate: Simulate, check: Callable[..., list[str]]) -> None:
    vcenter = simulate(templates=[Template("ubuntu", version="vmx-11")])
    assert check(vcenter, firmware="efi") == []
    assert check(vcenter, firmware="efi-secure-boot") == [
        "firmware: template /DC0/vm/ubuntu has virtual hardware 11, and secure boot needs 13; upgrade its VM compatibility, "
        "or set firmware: efi"
    ]
