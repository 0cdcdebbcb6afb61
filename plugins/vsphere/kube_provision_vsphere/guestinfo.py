"""Boot data for vSphere: cloud-init's form of it, and the fixed addresses that go with it."""

from __future__ import annotations

from typing import Any

from kube_provision_core import Boot, GuestInfo, Node, interface_name

from .config import VsphereConfig
from .hardware_address import hardware_addresses


def of(node: Node, boot: Boot, config: VsphereConfig) -> GuestInfo:
    """The boot data of a new machine, with its network."""
    return GuestInfo(boot, network(node, config))


def network(node: Node, config: VsphereConfig) -> dict[str, Any]:
    """The metadata's part about the network; empty where the system may decide."""
    cards = {
        interface_name(number): card.told(
            interface_name(number), mac_address, node.index, config.dns_servers if card.role == "node" else ()
        )
        for number, (card, mac_address) in enumerate(zip(config.cards, hardware_addresses(node, config), strict=True))
        if mac_address
    }
    return {"network": {"version": 2, "ethernets": cards}} if cards else {}
