"""What a cluster does not reach is refused before anything is created, and what it alone reaches is meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from servers.simulator import Inventory, Simulator, Template

from kube_provision_core import Boot, Cluster, Node, Role
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]
Check = Callable[..., list[str]]


@pytest.fixture
def check(driver_for: MakeDriver, node: MakeNode, boot: MakeBoot) -> Check:
    def run(vcenter: Simulator, *nodes: Node, roles: Any = (), **keys: Any) -> list[str]:
        machines = [(one, boot(one)) for one in nodes or (node(1),)]
        return list(driver_for(vcenter, roles=dict(roles), **{"cluster": "DC0_C0", **keys}).preflight(machines))

    return run


def two_clusters(**alone: str) -> Inventory:
    """Two of everything; what is named belongs to one cluster alone."""
    return Inventory(clusters=2, datastores=2, portgroups=2, alone=alone)


def test_a_datastore_that_the_cluster_does_not_reach_is_refused(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(inventory=two_clusters(LocalDS_1="DC0_C1"))
    assert check(vcenter, datastore="LocalDS_1") == [
        "datastore: cluster /DC0/host/DC0_C0 does not reach 'LocalDS_1'; it reaches: LocalDS_0"
    ]
    assert check(vcenter, datastore="LocalDS_1", cluster="DC0_C1") == []


def test_a_network_that_the_cluster_does_not_reach_is_refused(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(inventory=two_clusters(DC0_DVPG1="DC0_C1"))
    (line,) = check(vcenter, network="DC0_DVPG1")
    assert line.startswith("network: cluster /DC0/host/DC0_C0 does not reach 'DC0_DVPG1'; it reaches: DC0_DVPG0, ")
    assert "VM Network" in line
    assert check(vcenter, network="DC0_DVPG1", cluster="DC0_C1") == []


def test_each_role_is_checked_on_its_own_cluster(simulate: Callable[..., Simulator], check: Check, node: MakeNode) -> None:
    vcenter = simulate(inventory=two_clusters(LocalDS_1="DC0_C1"))
    (line,) = check(
        vcenter,
        *(node(1, role) for role in (Role.MASTER, Role.WORKER)),
        datastore="LocalDS_1",
        cluster="DC0_C1",
        roles={Role.MASTER: {"cluster": "DC0_C0"}},
    )
    assert line.endswith("it reaches: LocalDS_0 (for: master)")


def test_where_the_template_lies_and_is_connected_counts_where_nothing_else_is_named(
    simulate: Callable[..., Simulator], check: Check
) -> None:
    alone = {"LocalDS_0": "DC0_C1", "VM Network": "DC0_C1"}
    vcenter = simulate(inventory=Inventory(clusters=2, datastores=2, alone=alone))
    network, datastore = check(vcenter)
    assert network.startswith("network: not set, and cluster /DC0/host/DC0_C0 does not reach the template's VM Network; it ")
    assert datastore == (
        "datastore: not set, and cluster /DC0/host/DC0_C0 does not reach LocalDS_0, where the template lies; "
        "it reaches: LocalDS_1"
    )
    assert check(vcenter, network="DC0_DVPG0", datastore="LocalDS_1") == []
    (linked,) = check(vcenter, network="DC0_DVPG0", datastore="LocalDS_1", linked_clone=True)
    assert linked.startswith("linked_clone: true, and cluster /DC0/host/DC0_C0 does not reach LocalDS_0")


def test_of_a_datastore_cluster_what_is_reached_is_taken(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(inventory=Inventory(datastores=3, datastore_cluster="pod", alone={"LocalDS_0": "", "LocalDS_2": ""}))
    driver = driver_for(vcenter, datastore="pod")
    assert driver.preflight([(node(1), boot(node(1)))]) == []
    driver.provision_vm(node(1), boot(node(1)))
    assert vcenter.vm("w-prod-1")["datastores"] == ["LocalDS_1"]


def test_of_two_port_groups_of_one_name_the_reachable_one_is_meant(
    simulate: Callable[..., Simulator], check: Check, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    switches = {"Switch A": ["NSX-web"], "Switch B": ["NSX-web"]}
    vcenter = simulate(inventory=Inventory(switches=switches))
    (line,) = check(vcenter, network="NSX-web")
    assert line.startswith("network: 'NSX-web' names more than one network or port group: Switch A/NSX-web (dvportgroup-")
    hidden = line.partition("Switch A/NSX-web (")[2].partition(")")[0]
    other = line.partition("Switch B/NSX-web (")[2].partition(")")[0]
    for named in ("Switch B/NSX-web", other):
        assert check(vcenter, network=named) == []
    vcenter = simulate(inventory=Inventory(switches=switches, alone={hidden: ""}))
    assert "does not reach" in check(vcenter, network=hidden)[0]
    driver_for(vcenter, network="NSX-web").provision_vm(node(1), boot(node(1)))
    assert vcenter.vm("w-prod-1")["networks"] == ["NSX-web"]


def test_a_group_whose_name_ends_alike_is_another_one(
    simulate: Callable[..., Simulator], check: Check, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(inventory=Inventory(switches={"Switch A": ["Prod%2f120", "121"]}))
    (line,) = check(vcenter, network="120")
    assert line.startswith("network: there is no network or port group '120'")
    driver_for(vcenter, network="Prod/120").provision_vm(node(1), boot(node(1)))
    assert vcenter.vm("w-prod-1")["networks"] == ["Prod%2f120"]


def test_a_network_of_nsx_is_a_network(
    simulate: Callable[..., Simulator], check: Check, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(inventory=Inventory(opaque=["segment"]))
    assert check(vcenter, network="segment") == []
    driver_for(vcenter, network="segment").provision_vm(node(1), boot(node(1)))
    assert vcenter.vm("w-prod-1")["networks"] == ["id-of-segment"]


def test_a_network_of_nsx_that_another_cluster_alone_reaches_is_refused_where_clusters_list_them(
    simulate: Callable[..., Simulator], check: Check
) -> None:
    alone = {"segment": "DC0_C1"}
    vcenter = simulate(inventory=Inventory(clusters=2, opaque=["segment", "other"], alone=alone))
    assert "does not reach 'segment'" in check(vcenter, network="segment")[0]
    vcenter = simulate(inventory=Inventory(opaque=["segment"], alone={"segment": ""}))
    assert check(vcenter, network="segment") == []


def test_without_drs_only_hosts_that_reach_everything_are_taken(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(inventory=Inventory(drs=False))
    assert check(vcenter, datastore="LocalDS_0", network="DC0_DVPG0") == []


def test_a_vapp_is_a_pool_whose_machines_are_found_again(
    simulate: Callable[..., Simulator],
    check: Check,
    driver_for: MakeDriver,
    node: MakeNode,
    boot: MakeBoot,
    cluster: Cluster,
) -> None:
    vcenter = simulate(inventory=Inventory(vapps=["app"]))
    assert check(vcenter, resource_pool="app") == []
    vm = driver_for(vcenter, resource_pool="app").provision_vm(node(1), boot(node(1)))
    assert vcenter.vm("w-prod-1")["pool"] == "app"
    later = driver_for(vcenter, resource_pool="app")
    assert [found.id for found in later.list_vms(cluster)] == [vm.id]
    assert later.list_vms(cluster)[0].where == "/DC0/host/DC0_C0/Resources/app/w-prod-1"
    assert later.provision_vm(node(1), boot(node(1))).id == vm.id
    later.destroy_vm(vm)
    assert vcenter.machine_names() == []


def test_a_template_in_a_folder_of_an_escaped_name_is_found(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(templates=[Template("Prod%2fold/ubuntu"), Template("new/ubuntu")])
    assert check(vcenter, template="Prod/old/ubuntu") == []
    assert check(vcenter, template="Prod%2fold/ubuntu") == []
    (line,) = check(vcenter, template="ubuntu")
    assert "/DC0/vm/Prod%2fold/ubuntu" in line
