"""Network cards of clones and templates, and whose hardware addresses they have."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from servers.simulator import Simulator, Template

from kube_provision_core import Boot, Node
from kube_provision_vsphere.client import cards
from kube_provision_vsphere.client.vmomi import vim
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]
Simulate = Callable[..., Simulator]

STATIC = {"addresses": ["10.0.0.11/24", "10.0.0.12/24"], "gateway": "10.0.0.1"}
NETWORKS = [{"network": "DC0_DVPG0"}, {}, {"template": "distributed"}]


@pytest.fixture
def vcenter(simulate: Simulate) -> Simulator:
    return simulate(templates=[Template("ubuntu"), Template("distributed", network="DC0_DVPG0")])


def matched(vcenter: Simulator, name: str) -> Any:
    """The hardware address by which cloud-init finds the machine's card."""
    metadata = vcenter.vm(name)["extra_config"]["guestinfo.metadata"]
    card = json.loads(gzip.decompress(base64.b64decode(metadata)))["network"]["ethernets"]["eth0"]
    return card["match"]["macaddress"]


@pytest.mark.parametrize("network", NETWORKS, ids=["new card", "the template's", "the template's on a distributed switch"])
@pytest.mark.parametrize("keys", [{"static_ip": STATIC}, {"dns_servers": ["10.0.0.53"]}], ids=["fixed", "leased"])
def test_cloud_init_is_told_the_address_that_the_card_has(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, network: Any, keys: Any
) -> None:
    driver = driver_for(vcenter, **keys, **network)
    for index in (1, 2):
        driver.provision_vm(node(index), boot(node(index)))
    made = [vcenter.vm(f"w-prod-{index}")["cards"] for index in (1, 2)]
    assert made == [[{"mac_address": matched(vcenter, f"w-prod-{index}"), "manual": True}] for index in (1, 2)]
    assert made[0] != made[1]


def test_the_card_stays_on_the_templates_network(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    driver_for(vcenter, static_ip=STATIC, template="distributed").provision_vm(node(1), boot(node(1)))
    assert vcenter.vm("w-prod-1")["networks"] == ["DC0_DVPG0"]


@pytest.mark.parametrize("network", [{"network": "DC0_DVPG0"}, {}], ids=["new card", "the template's"])
def test_vcenter_chooses_where_no_address_is_needed(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, network: Any
) -> None:
    driver_for(vcenter, **network).provision_vm(node(1), boot(node(1)))
    assert [card["manual"] for card in vcenter.vm("w-prod-1")["cards"]] == [False]


def test_an_address_that_somebody_gave_the_template_is_not_inherited(
    simulate: Simulate, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(templates=[Template("ubuntu", mac_address="00:50:56:00:00:07")])
    driver = driver_for(vcenter)
    for index in (1, 2):
        driver.provision_vm(node(index), boot(node(index)))
    made = [vcenter.vm(f"w-prod-{index}")["cards"][0] for index in (1, 2)]
    assert not any(card["manual"] for card in made)
    assert len({"00:50:56:00:00:07", *(card["mac_address"] for card in made)}) == 3


def test_of_several_cards_the_first_one_is_meant() -> None:
    kinds = vim.vm.device
    backing = kinds.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
    second, first, third = (
        kinds.VirtualVmxnet3(
            key=4000 + unit, unitNumber=unit, backing=backing, addressType=kind, macAddress="00:50:56:00:00:07"
        )
        for unit, kind in ((8, "manual"), (7, "assigned"), (9, "assigned"))
    )
    devices = [second, kinds.VirtualDisk(key=2000, unitNumber=0), first, third]
    changes = [(one.operation, one.device.key, one.device.macAddress) for one in cards.keep(devices, "a")]
    assert changes == [("edit", first.key, "a"), ("edit", second.key, "")]
    assert {device.macAddress for device in (first, second, third)} == {"00:50:56:00:00:07"}


def test_one_call_still_makes_one_machine(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    driver_for(vcenter, static_ip=STATIC).provision_vm(node(1), boot(node(1)))
    assert {method: count for method, count in vcenter.counts().items() if method.endswith("_Task")} == {"CloneVM_Task": 1}
