"""Hardware addresses that are known before the card exists."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kube_provision_core import Node, Role
from kube_provision_vsphere.config import VsphereConfig
from kube_provision_vsphere.hardware_address import hardware_addresses

MakeNode = Callable[..., Node]

BY_HAND = re.compile("00:50:56:[0-3][0-9a-f]:[0-9a-f]{2}:[0-9a-f]{2}")
"""The part of VMware's range that vCenter never chooses from."""
NAME_SERVERS = {"dns_servers": ["10.0.0.53"]}


def config(**keys: Any) -> VsphereConfig:
    return VsphereConfig(vcenter_hostname="vc", vcenter_username="u", vcenter_password="p", template="t", **keys)


def hardware_address(node: Node, config: VsphereConfig) -> str | None:
    (address,) = hardware_addresses(node, config)
    return address


def test_vcenter_chooses_where_the_system_sees_to_its_network(node: MakeNode) -> None:
    assert hardware_address(node(), config()) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.11/24", "00:50:56:00:00:0b"),
        ("10.255.255.254/8", "00:50:56:3f:ff:fe"),
        ("192.168.1.2/16", "00:50:56:28:01:02"),
    ],
)
def test_a_fixed_address_decides(node: MakeNode, address: str, expected: str) -> None:
    assert hardware_address(node(), config(static_ip={"addresses": [address]})) == expected


def test_an_address_that_is_missing_is_no_address(node: MakeNode) -> None:
    assert hardware_address(node(2), config(static_ip={"addresses": ["10.0.0.11/24"]})) is None


def test_machines_of_a_cluster_never_meet(node: MakeNode) -> None:
    nodes = [node(index, role) for role in Role for index in range(1, 1001)]
    found = {hardware_address(one, config(**NAME_SERVERS)) for one in nodes}
    assert len(found) == 3000


def test_machines_of_pools_have_places_of_their_own(node: MakeNode) -> None:
    pools = [Role.WORKER, Role.of_pool("gpu"), Role.of_pool("edge")]
    nodes = [replace(node(index), role=role) for role in pools for index in range(1, 101)]
    found = {hardware_address(one, config(**NAME_SERVERS)) for one in nodes}
    assert len(found) == 300
    assert all(it and BY_HAND.fullmatch(it) for it in found)
    assert all(address and BY_HAND.fullmatch(address) for address in found)


def test_a_machine_keeps_its_address_and_other_clusters_have_others(node: MakeNode) -> None:
    keys, elsewhere = config(**NAME_SERVERS), replace(node(), stamp=replace(node().stamp, cluster_id="another"))
    assert hardware_address(node(), keys) == hardware_address(node(), keys)
    assert hardware_address(node(), keys) != hardware_address(elsewhere, keys)
