"""Which of the addresses that guest tools report is the machine's own."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DOCKER_BRIDGE = IPv4Network("172.17.0.0/16")
"""Docker's default network, of which every host has the same addresses."""


@dataclass(frozen=True, slots=True)
class GuestNic:
    """One interface inside of a machine."""

    key: int
    """Key of the virtual network card behind it; negative for a bridge, a tunnel, a container's interface."""
    addresses: tuple[str, ...]


def usable(
    nics: Iterable[GuestNic], primary: str | None, *, skip: Collection[Network] = (), subnet: Network | None = None
) -> tuple[str, ...]:
    """Addresses of the machine's cards, IPv4 first and in the order of the cards.

    `primary` is what guest tools call the machine's address, used where they tell nothing about cards. `skip` are networks
    of the cluster itself: pods and services. With `subnet`, only addresses in it count.
    """
    cards = sorted((nic for nic in nics if nic.key >= 0), key=lambda nic: nic.key)
    reported = [address for card in cards for address in card.addresses]
    if not cards and primary:
        reported, skip = [primary], (*skip, DOCKER_BRIDGE)
    found = [address for address in map(_parse, reported) if address and _counts(address, skip, subnet)]
    return tuple(str(address) for address in dict.fromkeys(sorted(found, key=lambda address: address.version)))


def _parse(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _counts(address: Address, skip: Collection[Network], subnet: Network | None) -> bool:
    if address.is_link_local or address.is_unspecified or address.is_multicast:
        return False
    if any(address in network for network in skip):
        return False
    return subnet is None or address in subnet
