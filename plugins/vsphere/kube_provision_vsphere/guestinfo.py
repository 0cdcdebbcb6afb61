"""Boot data for vSphere: cloud-init's form of it, and the fixed addresses that go with it."""

from __future__ import annotations

from typing import Any

from kube_provision_core import Boot, GuestInfo, Node

from .config import VsphereConfig
from .hardware_address import hardware_address

INTERFACE = "eth0"
"""What the card is called whose network is set here: most of cloud-init's renderers match by a name as well."""


def of(node: Node, boot: Boot, config: VsphereConfig) -> GuestInfo:
    """The boot data of a new machine, with its network."""
    return GuestInfo(boot, network(node, config))


def network(node: Node, config: VsphereConfig) -> dict[str, Any]:
    """The metadata's part about the network; empty where the system may decide."""
    mac_address = hardware_address(node, config)
    if mac_address is None:
        return {}
    return {"network": {"version": 2, "ethernets": {INTERFACE: _card(mac_address, node, config)}}}


def _card(mac_address: str, node: Node, config: VsphereConfig) -> dict[str, Any]:
    card: dict[str, Any] = {"match": {"macaddress": mac_address}, "set-name": INTERFACE}
    if config.static_ip is None:
        card |= {"dhcp4": True, "dhcp4-overrides": {"use-dns": False}}
    else:
        card |= {"dhcp4": False, "addresses": [str(config.static_ip.address_of(node.index))]}
        if config.static_ip.gateway:
            card["routes"] = [{"to": "0.0.0.0/0", "via": str(config.static_ip.gateway)}]
    if config.dns_servers:
        card["nameservers"] = {"addresses": [str(server) for server in config.dns_servers]}
    return card
