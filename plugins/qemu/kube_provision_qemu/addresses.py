"""Addresses on a cluster's own wire. Every cluster has a wire of its own, so that all of them use the same network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from kube_provision_core import NetworkCard, Node, Role, StaticIp, TargetError, interface_name

NETWORK = IPv4Network("10.0.2.0/24")
GATEWAY = "10.0.2.2"
"""The router; also this host's own loopback interface, as machines see it."""
NAME_SERVER = "10.0.2.3"
"""The router's: it asks this host's."""
DHCP_START = "10.0.2.250"
"""The router would lease addresses from here on; no machine of ours asks."""

OWN = NetworkCard(name="cluster", role="node")
"""The cluster's own wire, where machines have no other card."""


_FIRST, _LAST = 10, 249
_OFFSETS = {Role.DISCOVERY: 10, Role.MASTER: 10, Role.WORKER: 20}
"""Masters from 11, workers from 21; discovery 10, and what it has more than one of below: a machine that is made anew gets
its address back. Those of pools have the last that nobody has."""


def choose(node: Node, taken: Collection[str]) -> str:
    """The node's address: always the same unless it is taken. Raises `TargetError` when the network is full."""
    up = node.index if node.role is not Role.DISCOVERY else 1 - max(node.index, 1)
    preferred = _OFFSETS.get(node.role, _LAST) + up
    numbers = [preferred] if preferred <= _LAST else []
    for number in [*numbers, *range(_LAST, _FIRST - 1, -1)]:
        address = str(NETWORK.network_address + number)
        if address not in taken:
            return address
    raise TargetError(
        f"{node.name}: the network of cluster {node.stamp.cluster} is full: it holds {_LAST - _FIRST + 1} machines"
    )


def mac(cluster_id: str, name: str) -> str:
    """A locally administered address in QEMU's own range."""
    digest = hashlib.sha256(f"{cluster_id}/{name}".encode()).digest()
    return "52:54:" + ":".join(f"{byte:02x}" for byte in digest[:4])


def network_config(address: str, mac_address: str, networks: Sequence[tuple[NetworkCard, str]] = (), index: int = 0) -> str:
    """NoCloud's `network-config`, version 2. JSON is YAML.

    The interface is renamed, because cloud-init's networkd renderer matches by name as well as by address. `networks`: all
    with the hardware addresses of the cards, in their order, where there are several.
    """
    fixed = StaticIp(addresses=[IPv4Interface(f"{address}/{NETWORK.prefixlen}")], gateway=IPv4Address(GATEWAY))
    given = networks or [(OWN, mac_address)]
    ethernets: dict[str, Any] = {}
    for number, (card, hardware_address) in enumerate(given):
        name, own = interface_name(number), card.role == "node"
        if own:
            card = card.model_copy(update={"static_ip": fixed})
        told = card.told(name, hardware_address, 0 if own else index, [NAME_SERVER] if own else ())
        ethernets[name] = {**told, "dhcp6": False}
    return json.dumps({"version": 2, "ethernets": ethernets}, indent=1) + "\n"
