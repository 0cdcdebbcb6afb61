"""What a machine with cards in networks is told of them: version 2 of cloud-init's network configuration.

https://cloudinit.readthedocs.io/en/latest/reference/network-config-format-v2.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..contract.errors import BootError
from ..contract.networks import Interface, NetworkCard, StaticIp, interface_name


def network_config(
    cards: Iterable[tuple[NetworkCard, str | None]], index: int, dns_servers: Iterable[object] = ()
) -> dict[str, Any]:
    """For the machine with that index; empty where no card is told anything.

    `cards`: all in their order, each with its hardware address, by which it is found; one without is left to the system.
    `dns_servers`: in the nodes' network they take the place of a lease's. Raises `BootError` where a `static_ip` has no
    address for the machine.
    """
    servers = [str(server) for server in dns_servers]
    told = {
        interface_name(number): {
            "match": {"macaddress": mac_address},
            "set-name": interface_name(number),  # most of cloud-init's renderers match by a name as well
            **_card(card, index, servers if card.role == "node" else []),
        }
        for number, (card, mac_address) in enumerate(cards)
        if mac_address
    }
    return {"version": 2, "ethernets": told} if told else {}


def _card(card: NetworkCard, index: int, servers: Sequence[str]) -> dict[str, Any]:
    told: dict[str, Any] = {"dhcp4": card.role != "none" and card.static_ip is None}
    if card.role == "none":
        told |= {"link-local": [], "optional": True}
    elif card.static_ip:
        told |= {"addresses": list(map(str, _addresses(card, card.static_ip, index)))}
    elif not_used := _of_a_lease_not_used(card, servers):
        told |= {"dhcp4-overrides": dict.fromkeys(not_used, False)}
    if card.role != "node" or (card.static_ip and card.static_ip.ipv6_gateway):
        told["accept-ra"] = False  # an IPv6 router there would give an address, and be the default route
    if card.static_ip and card.static_ip.ipv6_gateway:
        told["gateway6"] = str(card.static_ip.ipv6_gateway)  # cloud-init 22.4 makes ::/64 of a route to ::/0
    routes = [{"to": str(route.to), "via": str(route.via)} for route in card.routes]
    if card.static_ip and card.static_ip.gateway:
        routes.insert(0, {"to": "0.0.0.0/0", "via": str(card.static_ip.gateway)})
    names = {"addresses": servers, "search": card.dns_search}
    said = {"routes": routes, "mtu": card.mtu, "nameservers": {key: value for key, value in names.items() if value}}
    return told | {key: value for key, value in said.items() if value}


def _addresses(card: NetworkCard, static_ip: StaticIp, index: int) -> Sequence[Interface]:
    found = static_ip.all_of(index)
    if None in found:
        raise BootError(f"network {card.name}: static_ip has no address for the machine with index {index}")
    return [address for address in found if address]


def _of_a_lease_not_used(card: NetworkCard, servers: Sequence[str]) -> tuple[str, ...]:
    if card.role == "storage":
        return ("use-dns", "use-routes")
    return ("use-dns",) if servers else ()
