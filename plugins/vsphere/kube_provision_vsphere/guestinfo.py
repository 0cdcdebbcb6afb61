"""Boot data for vSphere: cloud-init's form of it, and the fixed addresses that go with it."""

from __future__ import annotations

from typing import Any

from kube_provision_core import Boot, GuestInfo, Node

from .config import VsphereConfig

NETWORK_CARD = "e*"
"""ens192, eth0: the machine's card is not known by its hardware address before it exists."""


def of(node: Node, boot: Boot, config: VsphereConfig) -> GuestInfo:
    """The boot data of a new machine, with its network."""
    return GuestInfo(boot, network(node, config))


def network(node: Node, config: VsphereConfig) -> dict[str, Any]:
    """The metadata's part about the network; empty where the system may decide."""
    if not (config.static_ip or config.dns_servers):
        return {}
    return {"network": {"version": 2, "ethernets": {"primary": _card(node, config)}}}


def _card(node: Node, config: VsphereConfig) -> dict[str, Any]:
    card: dict[str, Any] = {"match": {"name": NETWORK_CARD}}
    if config.static_ip is None:
        card |= {"dhcp4": True, "dhcp4-overrides": {"use-dns": False}}
    else:
        card |= {"dhcp4": False, "addresses": [str(static_address(node, config))]}
        if config.static_ip.gateway:
            card["routes"] = [{"to": "0.0.0.0/0", "via": str(config.static_ip.gateway)}]
    if config.dns_servers:
        card["nameservers"] = {"addresses": [str(server) for server in config.dns_servers]}
    return card


def static_address(node: Node, config: VsphereConfig) -> str | None:
    """The machine's fixed address with its prefix length; None without one, or where the list is too short."""
    addresses = config.static_ip.addresses if config.static_ip else []
    place = max(node.index, 1) - 1  # the discovery machine has index 0 and takes the first
    return str(addresses[place]) if place < len(addresses) else None
