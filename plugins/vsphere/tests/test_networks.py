"""Machines with several network cards: in which networks these are, what is told of them, which address is the machine's."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from pydantic import ValidationError
from servers.simulator import Guest, Inventory, Simulator, Template

from kube_provision_core import Boot, Cluster, ConfigError, FailureDomain, Image, Machine, Node, Role
from kube_provision_core.config import load
from kube_provision_vsphere.config import VsphereConfig
from kube_provision_vsphere.driver import Vsphere
from kube_provision_vsphere.hardware_address import hardware_addresses

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]
Check = Callable[..., list[str]]

SAN = {"name": "DC0_DVPG0", "role": "storage", "static_ip": {"addresses": ["10.9.0.11/24", "10.9.0.12/24"]}, "mtu": 9000}
PODS = {"name": "DC0_DVPG1", "role": "none"}
LAN = {"name": "VM Network", "role": "node"}
FIXED = {**LAN, "static_ip": {"addresses": ["10.0.0.11/24", "10.0.0.12/24"], "gateway": "10.0.0.1"}}
NETWORKS = [SAN, LAN, PODS]

PASSWORD = {"KUBE_PROVISION_VCENTER_PASSWORD": "hunter2"}
WORKERS_WITH_SEVERAL = """\
name: prod
target: vsphere
os: ubuntu
vcenter_hostname: vc
vcenter_username: u
template: t
network: Common
workers:
  networks: [{name: VM Network, role: node}, {name: SAN, role: none}]
"""


@pytest.fixture
def vcenter(simulate: Callable[..., Simulator]) -> Simulator:
    guest = Guest(addresses=["10.9.0.11"], others=["10.0.0.77"])
    return simulate(templates=[Template("ubuntu")], inventory=Inventory(portgroups=2), guests=[guest])


@pytest.fixture
def check(driver_for: MakeDriver, node: MakeNode, boot: MakeBoot) -> Check:
    def run(vcenter: Simulator, *nodes: Node, **keys: Any) -> list[str]:
        machines = [(one, boot(one)) for one in nodes or (node(1),)]
        return list(driver_for(vcenter, **keys).preflight(machines))

    return run


def wait(until: Callable[[], bool]) -> None:
    end = monotonic() + 20
    while not until():
        assert monotonic() < end, "in vain"
        sleep(0.05)


def config(**keys: Any) -> VsphereConfig:
    return VsphereConfig(vcenter_hostname="vc", vcenter_username="u", vcenter_password="p", template="t", **keys)


def ethernets(vcenter: Simulator, name: str) -> Any:
    metadata = vcenter.vm(name)["extra_config"]["guestinfo.metadata"]
    return json.loads(gzip.decompress(base64.b64decode(metadata)))["network"]["ethernets"]


def test_a_machine_has_a_card_in_each_network_and_is_told_which_is_which(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    driver = driver_for(vcenter, networks=NETWORKS)
    assert driver.preflight([(node(1), boot(node(1)))]) == []
    driver.provision_vm(node(1), boot(node(1)))
    made = vcenter.vm("w-prod-1")
    assert made["networks"] == ["DC0_DVPG0", "VM Network", "DC0_DVPG1"]
    told = ethernets(vcenter, "w-prod-1")
    assert [told[f"eth{number}"]["match"]["macaddress"] for number in range(3)] == [
        it["mac_address"] for it in made["cards"]
    ]
    assert all(it["manual"] for it in made["cards"])
    assert told["eth0"]["addresses"] == ["10.9.0.11/24"]
    assert told["eth0"]["mtu"] == 9000
    assert told["eth1"]["dhcp4"] is True
    assert told["eth2"] == {
        "match": told["eth2"]["match"],
        "set-name": "eth2",
        **{"dhcp4": False, "link-local": [], "optional": True, "accept-ra": False},
    }


def test_name_servers_are_those_of_the_nodes_network(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    driver_for(vcenter, networks=NETWORKS, dns_servers=["10.0.0.53"]).provision_vm(node(1), boot(node(1)))
    told = ethernets(vcenter, "w-prod-1")
    assert [told[name].get("nameservers") for name in sorted(told)] == [None, {"addresses": ["10.0.0.53"]}, None]


def test_one_call_still_makes_one_machine(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    driver_for(vcenter, networks=NETWORKS).provision_vm(node(1), boot(node(1)))
    assert {method: count for method, count in vcenter.counts().items() if method.endswith("_Task")} == {"CloneVM_Task": 1}


def test_the_nodes_network_alone_has_the_machines_address(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    driver = driver_for(vcenter, networks=NETWORKS)
    driver.provision_vm(node(1), boot(node(1)))
    assert addresses(driver, cluster) == ("10.0.0.77",)
    assert addresses(driver_for(vcenter, networks=NETWORKS), cluster) == ("10.0.0.77",)
    assert addresses(driver_for(vcenter), cluster) == ("10.0.0.77",), "a machine keeps the card that it was made with"


def test_an_address_elsewhere_does_not_count(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    vcenter = simulate(inventory=Inventory(portgroups=2), guests=[Guest(addresses=["10.9.0.11"])])
    driver = driver_for(vcenter, networks=NETWORKS, template="ubuntu")
    driver.provision_vm(node(1), boot(node(1)))
    wait(lambda: "10.9.0.11" in vcenter.vm("w-prod-1")["addresses"])
    (vm,) = driver.list_vms(cluster)
    assert (vm.addresses, vm.notice) == ((), "guest tools tell no address yet: does a DHCP server answer?")


def test_a_fixed_address_is_that_of_the_nodes_network(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    vcenter = simulate(inventory=Inventory(portgroups=2), guests=[Guest(addresses=["10.9.0.12"], others=["10.0.0.12"])])
    driver = driver_for(vcenter, networks=[SAN, FIXED])
    driver.provision_vm(node(2), boot(node(2)))
    assert vcenter.vm("w-prod-2")["extra_config"]["kube-provision.address"] == "10.0.0.12"
    assert addresses(driver, cluster) == ("10.0.0.12",)
    assert [it["mac_address"] for it in vcenter.vm("w-prod-2")["cards"]] == ["00:50:56:09:00:0c", "00:50:56:00:00:0c"]


def addresses(driver: Vsphere, cluster: Cluster) -> tuple[str, ...]:
    wait(lambda: bool(driver.list_vms(cluster)[0].addresses))
    return driver.list_vms(cluster)[0].addresses


def test_discovery_is_told_the_interface_by_role() -> None:
    roles = {role: config() for role in Role} | {Role.WORKER: config(networks=NETWORKS), Role.MASTER: config(networks=[LAN])}
    assert Vsphere(roles).node_interfaces == {Role.WORKER: "eth1", Role.MASTER: "eth0"}


def test_a_failure_domain_has_a_nodes_network_of_its_own(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    zones = {"zone-a": {"network": "DC0_DVPG1"}}
    machine = replace(node(1), failure_domain=FailureDomain("zone-a"))
    driver_for(vcenter, networks=[SAN, LAN], failure_domains=zones).provision_vm(machine, boot(machine))
    assert vcenter.vm("w-prod-1")["networks"] == ["DC0_DVPG0", "DC0_DVPG1"]


def test_a_machine_that_bakes_is_in_the_nodes_network_alone(vcenter: Simulator, driver_for: MakeDriver) -> None:
    keys = {"template": "kube", "bake_from": "ubuntu", "bake_ip": "10.0.0.99/24", "networks": [SAN, FIXED]}
    driver = driver_for(vcenter, **keys)
    (template,) = driver.list_templates(frozenset(Role))
    driver.bake_image(template, Image("0123456789ab", Boot("bake", "bake", "#cloud-config\n"), "", Machine(2, 4)))
    assert vcenter.vm("kube.baking")["networks"] == ["VM Network"]
    assert ethernets(vcenter, "kube.baking")["eth0"]["addresses"] == ["10.0.0.99/24"]
    with pytest.raises(ConfigError, match="bake_ip: machines have fixed addresses"):
        driver_for(vcenter, **{**keys, "bake_ip": None}).list_templates(frozenset(Role))


class TestBadInput:
    def test_a_network_that_there_is_not(self, vcenter: Simulator, check: Check) -> None:
        (line,) = check(vcenter, networks=[LAN, {**SAN, "name": "DC0_DVPG9"}])
        assert line.startswith("networks[1].name: there is no network or port group 'DC0_DVPG9'")
        assert "did you mean 'DC0_DVPG" in line

    def test_each_of_them_is_told(self, vcenter: Simulator, check: Check) -> None:
        lines = check(vcenter, networks=[{**LAN, "name": "a"}, {**SAN, "name": "b"}])
        assert [line.partition(":")[0] for line in lines] == ["networks[0].name", "networks[1].name"]

    def test_a_network_that_the_cluster_does_not_reach(self, simulate: Callable[..., Simulator], check: Check) -> None:
        vcenter = simulate(inventory=Inventory(clusters=2, portgroups=2, alone={"DC0_DVPG1": "DC0_C1"}))
        (line,) = check(vcenter, networks=[LAN, PODS], cluster="DC0_C0")
        assert line.startswith("networks[1].name: cluster /DC0/host/DC0_C0 does not reach 'DC0_DVPG1'; it reaches: ")

    def test_too_few_addresses(self, vcenter: Simulator, check: Check, node: MakeNode) -> None:
        lines = check(vcenter, *map(node, (2, 3, 4)), networks=[LAN, SAN])
        assert lines == ["networks[1].static_ip: has 2 addresses, and w-prod-3, w-prod-4 need numbers up to 4: add 2"]

    def test_one_address_for_two_machines(self, vcenter: Simulator, check: Check, node: MakeNode) -> None:
        lines = check(vcenter, node(1), node(1, Role.MASTER), networks=[LAN, SAN])
        (line,) = lines
        assert line.startswith(
            "networks[1].static_ip: 10.9.0.11/24 would be given to both w-prod-1 and m-prod-1; give each "
        )

    def test_addresses_of_one_machine_that_lead_to_one_hardware_address(self, vcenter: Simulator, check: Check) -> None:
        same = {**SAN, "static_ip": {"addresses": ["10.64.0.11/24"]}}
        lines = check(vcenter, networks=[FIXED, same])
        assert lines == [
            f"networks[{number}].static_ip: {it} ends with the same 22 bits as another address of w-prod-1; choose another"
            for number, it in enumerate(["10.0.0.11/24", "10.64.0.11/24"])
        ]

    def test_a_privilege_that_is_missing_on_one_of_them(self, simulate: Callable[..., Simulator], check: Check) -> None:
        vcenter = simulate(inventory=Inventory(portgroups=2), denied=["Network.Assign"])
        assert sorted(check(vcenter, networks=[LAN, PODS])) == [
            "the vCenter account lacks on /DC0/network/DC0_DVPG1: Network.Assign",
            "the vCenter account lacks on /DC0/network/VM Network: Network.Assign",
        ]

    def test_what_is_said_twice_is_told_in_the_section_that_says_it_again(self, tmp_path: Path) -> None:
        document = tmp_path / "config.yml"
        document.write_text(WORKERS_WITH_SEVERAL)
        with pytest.raises(ConfigError) as caught:
            load([document], environ=PASSWORD)
        assert caught.value.problems == (
            f"{document}:9: networks: network is given for these machines, too, and they take its place: remove it, or "
            "where other machines need it write network: null beside these networks",
        )

    def test_a_section_takes_back_what_is_common(self, tmp_path: Path) -> None:
        document = tmp_path / "config.yml"
        document.write_text(f"{WORKERS_WITH_SEVERAL}  network: null\n")
        by_role = load([document], environ=PASSWORD).driver("target").config
        cards = {role: [card.name for card in it.cards] for role, it in by_role.items() if isinstance(it, VsphereConfig)}
        assert cards == {Role.MASTER: ["Common"], Role.DISCOVERY: ["Common"], Role.WORKER: ["VM Network", "SAN"]}

    def test_more_cards_than_a_machine_takes(self) -> None:
        ten = [LAN, *({"name": f"VLAN {number}", "role": "none"} for number in range(9))]
        assert len(config(networks=ten).cards) == 10
        with pytest.raises(ValidationError, match="at most 10 items"):
            config(networks=[*ten, PODS])

    def test_an_address_outside_of_the_filter(self) -> None:
        config(networks=[FIXED, SAN], wait_for_ip_address_subnet="10.0.0.0/24")
        with pytest.raises(ValidationError, match=r"10.0.0.11/24 of networks\[1\].static_ip is not in 10.9.0.0/24: that m"):
            config(networks=[SAN, FIXED], wait_for_ip_address_subnet="10.9.0.0/24")


class TestHardwareAddresses:
    def test_no_two_cards_share_one(self, node: MakeNode) -> None:
        keys = config(networks=[SAN, LAN, PODS])
        found = [it for index in (1, 2) for it in hardware_addresses(node(index), keys)]
        assert len(set(found)) == 6

    def test_a_network_more_changes_none(self, node: MakeNode) -> None:
        assert (
            hardware_addresses(node(1), config(networks=[LAN]))
            == hardware_addresses(node(1), config(networks=NETWORKS))[1:2]
        )
