"""Hardware addresses (MAC) of machines whose network cloud-init configures.

Of its ways to say which card is meant, cloud-init's renderers share one: the card's address. So it has to be known before
the card exists. VMware sets 00:50:56:00:00:00 to 00:50:56:3f:ff:ff apart for addresses that vCenter does not choose.
"""

from __future__ import annotations

import hashlib

from kube_provision_core import NetworkCard, Node, Role

from .config import VsphereConfig

_PREFIX = "00:50:56"
_FREE_BITS = 22


def hardware_addresses(node: Node, config: VsphereConfig) -> tuple[str | None, ...]:
    """Those of the machine's cards; None where vCenter may choose, which is where one card is told nothing.

    With a fixed IPv4 address it follows from that, and is as unique: on one link, networks of up to 2^22 addresses are not
    mixed. Else it is counted up from a place of the cluster's own, so that no two of its machines can meet; of a pool's
    workers from one of the pool's own, which are 2^22; and of one of several networks from that network's own.
    """
    chosen = bool(config.networks or config.dns_servers)
    return tuple(_hardware_address(node, card, config, chosen) for card in config.cards)


def _hardware_address(node: Node, card: NetworkCard, config: VsphereConfig, chosen: bool) -> str | None:
    if card.static_ip:
        address = card.static_ip.address_of(node.index)
        return _format(int(address.ip)) if address else None
    if chosen:
        start = int.from_bytes(hashlib.sha256(_whose(node, card, config).encode()).digest()[:4])
        return _format(start + node.index * len(Role) + list(Role).index(node.role.kind))
    return None


def _whose(node: Node, card: NetworkCard, config: VsphereConfig) -> str:
    """What the place is chosen by."""
    own = [node.role.pool] if node.role.is_pool else []
    return "/".join([node.stamp.cluster_id, *own, *([card.name] if config.networks else [])])


def _format(number: int) -> str:
    low = (number % (1 << _FREE_BITS)).to_bytes(3)
    return f"{_PREFIX}:{low.hex(':')}"
