"""Addresses on a cluster's own wire. Every cluster has a wire of its own, so that all of them use the same network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from kube_provision_core import NetworkCard, Node, Role, StaticIp, TargetError, network_config

from .host_networks import wire_of

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


def network_text(
    address: str, cards: Sequence[tuple[NetworkCard, str]], index: int, dns_servers: Sequence[object] = ()
) -> str:
    """NoCloud's `network-config` for the machine with that index; on the cluster's own wire its address is `address`.

    JSON is YAML. `cards`: in their order with their hardware addresses; `OWN` alone where it has no others. `dns_servers`:
    in place of the router's.
    """
    same = [IPv4Interface(f"{address}/{NETWORK.prefixlen}")] * max(index, 1)  # it is chosen, whatever the index
    own = {"static_ip": StaticIp.model_construct(addresses=same, gateway=IPv4Address(GATEWAY))}
    given = [(card if wire_of(card) else card.model_copy(update=own), mac_address) for card, mac_address in cards]
    routed = not all(wire_of(card) for card, _ in cards)
    told = network_config(given, index, dns_servers or ([NAME_SERVER] if routed else []))
    for card in told["ethernets"].values():
        card["dhcp6"] = False
    return json.dumps(told, indent=1) + "\n"
