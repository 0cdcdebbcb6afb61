"""Failure domains: where their machines go, what is said of them, and what is wrong with them before anything is made."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from servers.simulator import Inventory, Simulator

from kube_provision_core import Boot, Cluster, FailureDomain, Node, Role, Vm
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]

RULE = "kube-provision-prod-masters"
ZONES: Mapping[str, Mapping[str, Any]] = {
    "zone-a": {"cluster": "DC0_C0", "datastore": "LocalDS_0", "region": "north"},
    "zone-b": {"cluster": "DC0_C1", "datastore": "LocalDS_1", "network": "DC0_DVPG0", "vm_groups": ["rack-b"]},
}


@pytest.fixture
def two_clusters(simulate: Callable[..., Simulator]) -> Simulator:
    return simulate(inventory=Inventory(clusters=2, datastores=2, vm_groups=["rack-b"]))


@pytest.fixture
def driver(two_clusters: Simulator, driver_for: MakeDriver) -> Vsphere:
    return driver_for(two_clusters, failure_domains=ZONES, roles={Role.DISCOVERY: {"spread_over": ["zone-b"]}})


@pytest.fixture
def make(node: MakeNode, boot: MakeBoot) -> Callable[..., list[Vm]]:
    """A function that makes masters, each in the domain of that name."""

    def run(driver: Vsphere, *domains: str, role: Role = Role.MASTER) -> list[Vm]:
        named = {it.name: it for it in driver.failure_domains[role]}
        nodes = [replace(node(index, role), failure_domain=named[name]) for index, name in enumerate(domains, start=1)]
        return [driver.provision_vm(one, boot(one)) for one in nodes]

    return run


def rules(vcenter: Simulator) -> dict[str, dict[str, Sequence[str]]]:
    return {name: {it["name"]: it["vms"] for it in found["rules"]} for name, found in vcenter.clusters().items()}


def test_they_are_named_by_role_with_the_labels_of_their_nodes(driver: Vsphere) -> None:
    zone, region = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
    a, b = FailureDomain("zone-a", {zone: "zone-a", region: "north"}), FailureDomain("zone-b", {zone: "zone-b"})
    assert driver.failure_domains == {Role.MASTER: [a, b], Role.WORKER: [a, b], Role.DISCOVERY: [b]}


def test_machines_go_to_their_cluster_datastore_network_and_group(
    two_clusters: Simulator, driver: Vsphere, make: Callable[..., list[Vm]], cluster: Cluster
) -> None:
    driver.arrange_vms(cluster, make(driver, "zone-a", "zone-b"))
    first, second = two_clusters.vm("m-prod-1"), two_clusters.vm("m-prod-2")
    assert [vm["host"].rpartition("_")[0] for vm in (first, second)] == ["DC0_C0", "DC0_C1"]
    assert (first["datastores"], second["datastores"]) == (["LocalDS_0"], ["LocalDS_1"])
    assert (first["networks"], second["networks"]) == (["VM Network"], ["DC0_DVPG0"])
    assert two_clusters.clusters()["DC0_C1"]["groups"] == {"rack-b": ["m-prod-2"]}
    assert two_clusters.clusters()["DC0_C0"]["groups"] == {"rack-b": []}


def test_another_run_finds_where_machines_stand(
    two_clusters: Simulator, driver: Vsphere, driver_for: MakeDriver, make: Callable[..., list[Vm]], cluster: Cluster
) -> None:
    made = make(driver, "zone-b", "zone-a")
    assert [vm.failure_domain for vm in made] == ["zone-b", "zone-a"]
    assert [vm.failure_domain for vm in driver_for(two_clusters).list_vms(cluster)] == ["zone-b", "zone-a"]


def test_masters_are_kept_apart_within_each_cluster_of_hosts(
    two_clusters: Simulator, driver: Vsphere, make: Callable[..., list[Vm]], cluster: Cluster
) -> None:
    driver.arrange_vms(cluster, make(driver, "zone-a", "zone-b", "zone-a"))
    assert rules(two_clusters) == {"DC0_C0": {RULE: ["m-prod-1", "m-prod-3"]}, "DC0_C1": {}}


def test_a_rule_goes_with_all_but_one_of_its_masters(
    two_clusters: Simulator, driver: Vsphere, driver_for: MakeDriver, make: Callable[..., list[Vm]], cluster: Cluster
) -> None:
    made = make(driver, "zone-a", "zone-b", "zone-a", "zone-b")
    driver.arrange_vms(cluster, made)
    driver_for(two_clusters, failure_domains=ZONES).destroy_vm(made[0])
    assert rules(two_clusters) == {"DC0_C0": {}, "DC0_C1": {RULE: ["m-prod-2", "m-prod-4"]}}


def test_what_stands_in_no_domain_that_is_named_is_left_out(
    two_clusters: Simulator,
    driver: Vsphere,
    driver_for: MakeDriver,
    make: Callable[..., list[Vm]],
    cluster: Cluster,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = make(driver, "zone-a", "zone-b", "zone-a", "zone-b")
    later = driver_for(two_clusters, failure_domains={"zone-a": ZONES["zone-a"]})
    with caplog.at_level(logging.WARNING):
        later.arrange_vms(cluster, made)
    assert "a master stands in no failure domain that is named" in caplog.text
    assert rules(two_clusters) == {"DC0_C0": {RULE: ["m-prod-1", "m-prod-3"]}, "DC0_C1": {}}


def test_what_is_wrong_is_told_with_the_domain(
    two_clusters: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    zones = {**ZONES, "zone-c": {"cluster": "DC0_C7"}}
    driver = driver_for(two_clusters, failure_domains=zones)
    nodes = [replace(node(1, Role.MASTER), failure_domain=it) for it in driver.failure_domains[Role.MASTER]]
    (line,) = driver.preflight([(one, boot(one)) for one in nodes])
    assert line.startswith("cluster: there is no cluster 'DC0_C7', or the account may not see it; did you mean ")
    assert line.endswith("(for: master in zone-c)")


def test_a_datastore_out_of_reach_of_its_cluster_is_told(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(inventory=Inventory(clusters=2, datastores=2, alone={"LocalDS_1": "DC0_C0"}, vm_groups=["rack-b"]))
    driver = driver_for(vcenter, failure_domains=ZONES)
    one = replace(node(1), failure_domain=driver.failure_domains[Role.WORKER][1])
    (line,) = driver.preflight([(one, boot(one))])
    assert line.startswith("datastore: cluster /DC0/host/DC0_C1 does not reach 'LocalDS_1'; it reaches: LocalDS_0")


def test_a_template_is_baked_in_the_first_domain(two_clusters: Simulator, driver_for: MakeDriver) -> None:
    driver = driver_for(two_clusters, failure_domains=ZONES, template="kube", bake_from="ubuntu")
    (template,) = driver.list_templates(frozenset({Role.MASTER}))
    assert template.source == "/DC0/vm/ubuntu"
