"""Which of the addresses that are told is the machine's own."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from kube_provision_core import Cluster

DOCKER_BRIDGE = IPv4Network("172.17.0.0/16")
"""Docker's default network, of which every host has the same addresses."""


def usable(reported: Iterable[str], leased: str, cluster: Cluster) -> tuple[str, ...]:
    """The machine's addresses, the preferred one first: what the guest reports, then its DHCP lease.

    What looks like the near end of a bridge (`x.x.x.1`) is believed only where the lease says the same.
    """
    own = (DOCKER_BRIDGE, IPv4Network(cluster.pod_subnet), IPv4Network(cluster.service_subnet))
    found: dict[str, None] = {}
    for text in (*reported, leased):
        address = _parse(text)
        if address is None or any(address in network for network in own):
            continue
        if text == leased or not str(address).endswith(".1"):
            found[str(address)] = None
    return tuple(found)


def _parse(text: str) -> IPv4Address | None:
    try:
        address = IPv4Address(text)
    except ValueError:
        return None
    special = address.is_link_local or address.is_loopback or address.is_unspecified or address.is_multicast
    return None if special else address
