"""What is known to go wrong is told before anything is created: all of it, one line each."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from servers.simulator import Inventory, Machine, Simulator, Template

from kube_provision_core import Boot, Cluster, File, Node, Role, TargetError
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]
Check = Callable[..., list[str]]


@pytest.fixture
def check(driver_for: MakeDriver, node: MakeNode, boot: MakeBoot) -> Check:
    """A function that says what preflight finds with these keys, for one worker or the given nodes."""

    def run(vcenter: Simulator, *nodes: Node, roles: Any = (), **keys: Any) -> list[str]:
        machines = [(one, boot(one)) for one in nodes or (node(1),)]
        return list(driver_for(vcenter, roles=dict(roles), **keys).preflight(machines))

    return run


def test_a_right_configuration_has_no_problems_and_needs_few_calls(vcenter: Simulator, check: Check, node: MakeNode) -> None:
    nodes = [node(index, role) for role in (Role.MASTER, Role.WORKER) for index in range(1, 30)]
    assert check(vcenter, *nodes, datastore="LocalDS_1", network="DC0_DVPG0", resource_pool="DC0_C0_RP1") == []
    assert sum(vcenter.counts().values()) <= 8


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "datacenter",
            "DC7",
            "there is no datacenter 'DC7', or the account may not see it; did you mean 'DC0'",
        ),
        (
            "cluster",
            "DC0_C1",
            "there is no cluster 'DC0_C1', or the account may not see it; did you mean 'DC0_C0'?",
        ),
        ("resource_pool", "RP", "there is no resource pool 'RP', or the account may not see it;"),
        (
            "folder",
            "k9s",
            "there is no folder of machines 'k9s', or the account may not see it; did you mean 'k8s'?",
        ),
        (
            "template",
            "ubunto",
            "there is no template 'ubunto', or the account may not see it; did you mean 'ubuntu'?",
        ),
        ("template", "debian-*", "no template fits the pattern 'debian-*', or the account may not see it"),
        ("datastore", "LocalDS_7", "there is no datastore or datastore cluster 'LocalDS_7', or the account may"),
        ("network", "VLAN 7", "there is no network or port group 'VLAN 7', or the account may not see it;"),
        ("vm_groups", ["gpu"], "cluster DC0_C0 has no DRS group of machines 'gpu'"),
    ],
)
def test_what_does_not_exist_is_named(vcenter: Simulator, check: Check, key: str, value: Any, said: str) -> None:
    (line,) = check(vcenter, **{key: value})
    assert line.startswith(f"{key}: {said}")


def test_all_problems_are_told_at_once(vcenter: Simulator, check: Check, node: MakeNode) -> None:
    few = {"addresses": ["10.0.0.9/24"]}
    lines = check(vcenter, node(1), node(2), template="gone", folder="gone", network="gone", static_ip=few)
    assert {line.partition(":")[0] for line in lines} == {"template", "folder", "network", "static_ip"}


def test_a_problem_of_one_role_says_whose_it_is(vcenter: Simulator, check: Check, node: MakeNode) -> None:
    nodes = [node(1), node(1, Role.MASTER)]
    (line,) = check(vcenter, *nodes, roles={Role.MASTER: {"folder": "gone"}})
    assert line.endswith("(for: master)")


def test_only_roles_that_get_machines_are_checked(vcenter: Simulator, check: Check) -> None:
    assert check(vcenter, roles={Role.MASTER: {"folder": "gone"}}) == []


def test_an_ambiguous_template_is_refused_with_full_paths(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(templates=[Template("a/ubuntu"), Template("b/ubuntu")])
    (line,) = check(vcenter)
    assert "/DC0/vm/a/ubuntu, /DC0/vm/b/ubuntu; write the full path" in line
    assert check(vcenter, template="b/ubuntu") == []


def test_a_pattern_takes_the_newest(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(templates=[Template(f"ubuntu-{version}", disk_gib=version) for version in (10, 9)])
    driver_for(vcenter, template="ubuntu-*").provision_vm(node(1), boot(node(1)))
    assert [disk["gib"] for disk in vcenter.vm("w-prod-1")["disks"]] == [10]


def test_two_datacenters_must_be_chosen_from(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(inventory=Inventory(datacenters=2))
    (line,) = check(vcenter)
    assert line == "datacenter: not set, and there is more than one datacenter; name one of: /DC0, /DC1"
    assert check(vcenter, datacenter="DC0") == []


def test_two_clusters_must_be_chosen_from(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(inventory=Inventory(clusters=2))
    (line,) = check(vcenter)
    assert line.startswith("cluster: not set, and there is more than one cluster; name one of: /DC0/host/DC0_C0, /DC0/host/")
    assert check(vcenter, cluster="DC0_C0") == []


def test_a_pool_of_another_cluster_is_refused(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(inventory=Inventory(clusters=2))
    (line,) = check(vcenter, cluster="DC0_C0", resource_pool="DC0_C1_RP1")
    assert line == "resource_pool: /DC0/host/DC0_C1/Resources/DC0_C1_RP1 is not in /DC0/host/DC0_C0"


def test_a_pool_alone_says_which_cluster(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(inventory=Inventory(clusters=2))
    assert check(vcenter, resource_pool="DC0_C0_RP1") == []


def test_a_running_machine_is_no_template(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(machines=[Machine("golden", power_on=True)])
    assert check(vcenter, template="golden") == [
        "template: /DC0/vm/golden is a running machine; shut it down and convert it to a template"
    ]


def test_a_stopped_machine_may_be_cloned(simulate: Callable[..., Simulator], check: Check) -> None:
    assert check(simulate(machines=[Machine("golden")]), template="golden") == []


def test_a_linked_clone_needs_a_snapshot(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(templates=[Template("ubuntu", snapshot="")])
    assert check(vcenter, linked_clone=True) == [
        "linked_clone: template /DC0/vm/ubuntu has no snapshot to link to; take one, or set linked_clone: false"
    ]


def test_a_disk_never_shrinks(vcenter: Simulator, check: Check, node: MakeNode) -> None:
    assert check(vcenter, node(1, boot_disk_gib=5), node(2, boot_disk_gib=5)) == [
        "boot_disk_size: 5 GiB is less than the 10 GiB of template /DC0/vm/ubuntu; a disk only grows"
    ]


def test_a_linked_clone_does_not_grow(vcenter: Simulator, check: Check, node: MakeNode) -> None:
    (line,) = check(vcenter, node(1, boot_disk_gib=20), linked_clone=True)
    assert line.startswith("boot_disk_size: a linked clone keeps the 10 GiB of template /DC0/vm/ubuntu")


def test_too_few_static_addresses_are_told(vcenter: Simulator, check: Check, node: MakeNode) -> None:
    lines = check(vcenter, node(1), node(2), static_ip={"addresses": ["10.0.0.9/24"]})
    assert lines == ["static_ip: has 1 address, and w-prod-2 needs number 2: add 1"]


def test_one_address_for_two_machines_is_told(vcenter: Simulator, check: Check, node: MakeNode) -> None:
    lines = check(vcenter, node(1), node(1, Role.MASTER), static_ip={"addresses": ["10.0.0.9/24"]})
    assert lines == [
        "static_ip: 10.0.0.9/24 would be given to both w-prod-1 and m-prod-1; give each role, and pool, its own"
    ]


def test_one_ipv6_address_for_two_machines_is_told(vcenter: Simulator, check: Check, node: MakeNode) -> None:
    lists = {Role.WORKER: "10.0.0.9/24", Role.MASTER: "10.0.0.8/24"}
    static = {role: {"addresses": [own], "ipv6_addresses": ["fd00::9/64"]} for role, own in lists.items()}
    both = "static_ip: fd00::9/64 would be given to both w-prod-1 and m-prod-1; give each role, and pool, its own"
    nodes = [node(1), node(1, Role.MASTER)]
    assert check(vcenter, *nodes, roles={role: {"static_ip": it} for role, it in static.items()}) == [both]
    cards = {role: [{"name": "DC0_DVPG0", "role": "node", "static_ip": it}] for role, it in static.items()}
    assert check(vcenter, *nodes, roles={role: {"networks": it} for role, it in cards.items()}) == [f"networks[0].{both}"]


def test_an_address_of_a_machine_that_there_is_is_given_to_no_other(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    """A pool that is added later says no addresses of its own, and so has the document's."""
    driver = driver_for(vcenter, static_ip={"addresses": ["10.0.0.9/24"]})
    master, worker = node(1, Role.MASTER), node(1)
    driver.provision_vm(master, boot(master))
    driver.list_vms(cluster)
    (line,) = driver.preflight([(worker, boot(worker))])
    assert line.startswith("static_ip: 10.0.0.9/24 would be given to both m-prod-1 and w-prod-1;")
    assert driver.preflight([(master, boot(master))]) == []


def test_a_template_without_a_network_card_needs_a_network(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(templates=[Template("ubuntu", network="")])
    assert check(vcenter) == ["template: /DC0/vm/ubuntu has no network card; set network"]
    assert check(vcenter, network="DC0_DVPG0") == []


def test_addresses_that_lead_to_one_hardware_address_are_told(vcenter: Simulator, check: Check, node: MakeNode) -> None:
    lists = {Role.WORKER: ["10.64.0.9/24"], Role.MASTER: ["10.128.0.9/24"]}
    keys = {role: {"static_ip": {"addresses": addresses}} for role, addresses in lists.items()}
    lines = check(vcenter, node(1), node(1, Role.MASTER), roles=keys)
    assert lines == ["static_ip: 10.128.0.9/24 of m-prod-1 ends with the same 22 bits as that of w-prod-1; choose another"]
    keys[Role.MASTER]["network"] = "DC0_DVPG0"  # where they do not meet
    assert check(vcenter, node(1), node(1, Role.MASTER), roles=keys) == []


def test_boot_data_that_is_too_large_is_told_before_the_clone(
    driver: Vsphere, vcenter: Simulator, node: MakeNode, boot: MakeBoot
) -> None:
    noise = base64.b64encode(random.Random(7).randbytes(60_000)).decode()
    large = replace(boot(node(1)), user_data=noise, files=(File("/etc/large", noise),))
    (line,) = driver.preflight([(node(1), large)])
    assert line.startswith("w-prod-1: boot data (guestinfo.userdata) is ")
    assert "/etc/large" in line


def test_missing_privileges_are_told_by_object(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(denied=["VirtualMachine.Config.*Device", "Resource.*"])
    assert sorted(check(vcenter)) == [
        "the vCenter account lacks on /DC0/host/DC0_C0/Resources: Resource.AssignVMToPool",
        "the vCenter account lacks on /DC0/vm/k8s: VirtualMachine.Config.AddRemoveDevice, VirtualMachine.Config.EditDevice",
    ]


def test_groups_and_attributes_need_privileges_of_their_own(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(denied=["Global.*", "Host.*"], inventory=Inventory(vm_groups=["gpu"]))
    assert check(vcenter) == []
    assert sorted(check(vcenter, vm_groups=["gpu"], vm_attributes={"owner": "me"})) == [
        "the vCenter account lacks on /DC0/host/DC0_C0: Host.Inventory.EditCluster",
        "the vCenter account lacks on /DC0/vm/k8s: Global.SetCustomField",
    ]


def test_keeping_workers_apart_needs_a_privilege(simulate: Callable[..., Simulator], check: Check, node: MakeNode) -> None:
    vcenter = simulate(denied=["Host.*"])
    assert check(vcenter, node(1, Role.MASTER), keep_workers_apart=True) == []
    assert check(vcenter, keep_workers_apart=True) == [
        "the vCenter account lacks on /DC0/host/DC0_C0: Host.Inventory.EditCluster"
    ]


def test_a_vcenter_that_cannot_tell_privileges_is_not_asked_further(vcenter: Simulator, check: Check) -> None:
    vcenter.fail("HasPrivilegeOnEntities", fault="NotSupported")
    assert check(vcenter) == []


def test_trouble_on_the_way_is_no_bad_input(vcenter: Simulator, check: Check) -> None:
    vcenter.kill()
    with pytest.raises(TargetError):
        check(vcenter)
