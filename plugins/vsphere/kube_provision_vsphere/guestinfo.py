"""Boot data for vSphere: cloud-init's form of it, and the fixed addresses that go with it."""

from __future__ import annotations

from typing import Any

from kube_provision_core import Boot, GuestInfo, Node, network_config

from .config import VsphereConfig
from .hardware_address import hardware_addresses


def of(node: Node, boot: Boot, config: VsphereConfig) -> GuestInfo:
    """The boot data of a new machine, with its network."""
    return GuestInfo(boot, network(node, config))


def network(node: Node, config: VsphereConfig) -> dict[str, Any]:
    """The metadata's part about the network; empty where the system may decide."""
    cards = zip(config.cards, hardware_addresses(node, config), strict=True)
    told = network_config(cards, node.index, config.dns_servers)
    return {"network": told} if told else {}
