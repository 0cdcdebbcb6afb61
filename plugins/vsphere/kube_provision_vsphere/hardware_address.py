"""Hardware addresses (MAC) of machines whose network cloud-init configures.

Of its ways to say which card is meant, cloud-init's renderers share one: the card's address. So it has to be known before
the card exists. VMware sets 00:50:56:00:00:00 to 00:50:56:3f:ff:ff apart for addresses that vCenter does not choose.
"""

from __future__ import annotations

import hashlib

from kube_provision_core import Node, Role

from .config import VsphereConfig

_PREFIX = "00:50:56"
_FREE_BITS = 22


def hardware_address(node: Node, config: VsphereConfig) -> str | None:
    """The address of the machine's first card; None where vCenter may choose it.

    With a fixed IPv4 address it follows from that, and is as unique: on one link, networks of up to 2^22 addresses are not
    mixed. With DHCP it is counted up from a place of the cluster's own, so that no two of its machines can meet; of a pool's
    workers from one of the pool's own, which are 2^22.
    """
    if config.static_ip:
        address = config.static_ip.address_of(node.index)
        return _format(int(address.ip)) if address else None
    if config.dns_servers:
        return _format(_start(_whose(node)) + node.index * len(Role) + list(Role).index(node.role.kind))
    return None


def _whose(node: Node) -> str:
    """What the place is chosen by: a pool has one of its own."""
    return node.stamp.cluster_id + (f"/{node.role.pool}" if node.role.is_pool else "")


def _start(whose: str) -> int:
    return int.from_bytes(hashlib.sha256(whose.encode()).digest()[:4])


def _format(number: int) -> str:
    low = (number % (1 << _FREE_BITS)).to_bytes(3)
    return f"{_PREFIX}:{low.hex(':')}"
