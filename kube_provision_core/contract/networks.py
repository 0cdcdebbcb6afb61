"""Networks of a machine that has several, each with a card of its own: how they are written, and what is wrong with them.

For targets whose machines may have more than one: a key `networks` of the type `Networks`, per role.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from .driver import raise_faults
from .hosts import LONGEST_NAME, NAME
from .machines import Cluster, Node, Role
from .node_network import OnNodeNetwork, Place
from .subnets import Network

LEAST_MTU, MOST_MTU = 1280, 9000
"""IPv6's least (RFC 8200), without which a machine has none; and what virtual switches carry at most."""

MOST_NAMES = 5
"""Of machines in one line."""

Interface = IPv4Interface | IPv6Interface

Fault = tuple[tuple[str | int, ...], str]
"""The way to it, and what is wrong."""


def _no_ipv6(value: Any) -> Any:
    if isinstance(value, str) and ":" in value:
        raise ValueError("is IPv6, and an IPv4 one is wanted here: see ipv6_addresses and ipv6_gateway")
    return value


def _domain(name: str) -> str:
    if len(name) > LONGEST_NAME or not re.fullmatch(NAME, name):
        raise ValueError("must be a DNS domain, such as example.com")
    return name


OnIPv4 = Annotated[OnNodeNetwork[Place], BeforeValidator(_no_ipv6)]


def number_of(index: int) -> int:
    """Which of a role's addresses, counted from 1, the machine with that index has; the discovery machine's index is 0."""
    return max(index, 1)


class StaticIp(BaseModel):
    """Fixed addresses of one role's machines in a network."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    addresses: list[OnIPv4[IPv4Interface]] = Field(
        min_length=1, description="With prefix length, one per machine: the first is that of the machine with index 1."
    )
    gateway: OnIPv4[IPv4Address] | None = Field(None, description="Default gateway.")
    ipv6_addresses: list[OnNodeNetwork[IPv6Interface]] = Field(
        [], description="The same for IPv6, beside; unset: what routers announce, and DHCPv6."
    )
    ipv6_gateway: OnNodeNetwork[IPv6Address] | None = Field(None, description="Default gateway for IPv6.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for address in self.addresses:
            _check_address(address, self.gateway, usual=24)
        for other in self.ipv6_addresses:
            _check_address(other, self.ipv6_gateway, usual=64)
        if self.ipv6_gateway and not self.ipv6_addresses:
            raise ValueError(f"ipv6_gateway {self.ipv6_gateway} needs ipv6_addresses in its network")
        for addresses in self.families:
            if len({address.ip for address in addresses}) < len(addresses):
                raise ValueError("an address is listed twice")
        return self

    @property
    def families(self) -> tuple[Sequence[Interface], ...]:
        """The addresses of each family that is given."""
        return (self.addresses, self.ipv6_addresses) if self.ipv6_addresses else (self.addresses,)

    @property
    def networks(self) -> set[Network]:
        return {address.network for addresses in self.families for address in addresses}

    def address_of(self, index: int) -> IPv4Interface | None:
        """The IPv4 address of the machine with that index; None where the list is too short."""
        number = number_of(index)
        return self.addresses[number - 1] if number <= len(self.addresses) else None

    def all_of(self, index: int) -> tuple[Interface | None, ...]:
        """The address of each family that is given; None where its list is too short for the machine with that index."""
        number = number_of(index)
        return tuple(addresses[number - 1] if number <= len(addresses) else None for addresses in self.families)


def _check_address(address: Interface, gateway: IPv4Address | IPv6Address | None, usual: int) -> None:
    """`usual`: the prefix length that most networks have. Raises `ValueError`."""
    network = address.network
    edges = (network.network_address, *((network.broadcast_address,) if network.version == 4 else ()))
    if network.prefixlen == network.max_prefixlen:
        raise ValueError(f"{address.ip} needs its network's prefix length, such as {address.ip}/{usual}")
    if address.is_multicast or address.is_link_local or address.is_unspecified or address.is_reserved:
        raise ValueError(f"{address.ip} is no address that a machine can be given")
    if network.prefixlen < network.max_prefixlen - 1 and address.ip in edges:
        raise ValueError(f"{address} is a network's own or broadcast address")
    if gateway and gateway not in network and not (gateway.version == 6 and gateway.is_link_local):
        raise ValueError(f"gateway {gateway} is not in the network of {address}")
    if gateway == address.ip:
        raise ValueError(f"{address.ip} is both an address and the gateway")


class Route(BaseModel):
    """A way to a network that begins at one of the machine's own."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    to: OnIPv4[IPv4Network] = Field(description="The network that it leads to.")
    via: OnIPv4[IPv4Address] = Field(description="The router.")


class NetworkCard(BaseModel):
    """A network of a machine, in which it has a card."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(min_length=1)] = Field(description="As the target calls the network.")
    role: Literal["node", "storage", "none"] = Field(
        description="`node`: the machine's address and default route are in it. `storage`: it has an address there, too. "
        "`none`: it has none, for pods that bring their own."
    )
    static_ip: StaticIp | None = Field(None, description="Fixed addresses; unset: DHCP.")
    mtu: Annotated[int, Field(ge=LEAST_MTU, le=MOST_MTU)] | None = Field(
        None, description="Largest packet in bytes; unset: what a lease says, else the system's, which is 1500."
    )
    routes: list[Route] = Field([], description="Networks that are reached through this one.")
    dns_search: list[Annotated[str, AfterValidator(_domain)]] = Field(
        [], description="Domains in which short names are looked up."
    )


def node_card(cards: Sequence[NetworkCard]) -> int:
    """Which of them, counted from 0, is in the nodes' network; 0 where none are named, since there is one alone."""
    return next((number for number, card in enumerate(cards) if card.role == "node"), 0)


def interface_name(number: int) -> str:
    """What a machine calls the card with that number: most of cloud-init's renderers match by a name, too."""
    return f"eth{number}"


def key_in_networks(number: int, key: str) -> str:
    """What a key of a network is called in the configuration: `networks[1].static_ip`."""
    return f"networks[{number}].{key}"


def address_shortages(
    nodes: Sequence[Node],
    cards: Sequence[NetworkCard],
    called: Callable[[int, str], str] | None = None,
    cluster: Cluster | None = None,
) -> Iterator[str]:
    """Lines for `render_boot` and `preflight`: networks that have fewer addresses than these machines of one role need.

    `called`: what a key of the card with that number is called in the configuration; unset: `key_in_networks`. `cluster`:
    where others of that role are in it, the line says how many addresses are to be added for all.
    """
    for number, card in enumerate(cards):
        static = card.static_ip
        key = (called or key_in_networks)(number, "static_ip")
        for addresses in static.families if static else ():
            if lacking := [node for node in nodes if number_of(node.index) > len(addresses)]:
                most = max(node.index for node in lacking)
                all_of_them = sum(role is lacking[0].role for role in cluster.nodes.values()) if cluster else 0
                yield f"{key}: {_shortage(addresses, [node.name for node in lacking], most, all_of_them)}"


def _shortage(addresses: Sequence[Interface], names: Sequence[str], most: int, all_of_them: int = 0) -> str:
    """`most`: the highest of these machines' indexes. `all_of_them`: how many there are of their role, where it is known."""
    has, number = len(addresses), number_of(most)
    what = "IPv6 address" if addresses[0].version == 6 else "address"
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    who = ", ".join(names[:MOST_NAMES]) + more
    lack = f"{who} needs number {number}" if len(names) == 1 else f"{who} need numbers up to {number}"
    others = f", one of {all_of_them} machines" if all_of_them > number else ""
    return f"has {has} {what}{'es' if has > 1 else ''}, and {lack}{others}: add {max(number, all_of_them) - has}"


def static_ip_problems(machines: Iterable[tuple[Node, Sequence[NetworkCard]]]) -> Iterator[str]:
    """Lines for `preflight`: addresses in `networks` that are too few, or that two of these machines would be given."""
    every = list(machines)
    owners: dict[IPv4Address | IPv6Address, str] = {}
    for role, cards in _cards_by_role(every).items():
        yield from address_shortages([node for node, _ in every if node.role == role], cards)
    for node, cards in every:
        for number, card in enumerate(cards):
            for address in card.static_ip.all_of(node.index) if card.static_ip else ():
                if address and (owner := owners.setdefault(address.ip, node.name)) != node.name:
                    both = f"{address} would be given to both {owner} and {node.name}"
                    yield f"{key_in_networks(number, 'static_ip')}: {both}; give each role, and pool, its own"


def _cards_by_role(machines: Iterable[tuple[Node, Sequence[NetworkCard]]]) -> Mapping[Role, Sequence[NetworkCard]]:
    return {node.role: cards for node, cards in machines}


def _checked(cards: list[NetworkCard]) -> list[NetworkCard]:
    raise_faults(
        [
            *_roles(cards),
            *_networks(cards),
            *_routes(cards),
            *(it for number, card in enumerate(cards) for it in _card(number, card)),
        ]
    )
    return cards


def _roles(cards: Sequence[NetworkCard]) -> Iterator[Fault]:
    nodes = [number for number, card in enumerate(cards) if card.role == "node"]
    if not nodes:
        yield (), "none of them is the nodes': give the one that machines' addresses are in role: node"
    for number in nodes[1:]:
        yield (number, "role"), f"{cards[nodes[0]].name} is the nodes' network already, and there is one alone"


def _networks(cards: Sequence[NetworkCard]) -> Iterator[Fault]:
    names: set[str] = set()
    owners: dict[Network, str] = {}
    for number, card in enumerate(cards):
        if card.name in names:
            yield (number, "name"), f"{card.name} is listed twice"
        names.add(card.name)
        own = card.static_ip.networks if card.static_ip else set()
        for network in sorted(own, key=str):
            shared = next((it for it, owner in owners.items() if owner != card.name and it.overlaps(network)), None)
            if shared:
                both = f"{network} overlaps {shared} of {owners[shared]}"
                yield (number, "static_ip"), f"{both}: two cards cannot be in one network, so give one another"
        owners |= dict.fromkeys(own, card.name)


def _routes(cards: Sequence[NetworkCard]) -> Iterator[Fault]:
    """Those that would take a card's neighbours away from it. A wider one does not: what is on a link is nearer."""
    for number, card in enumerate(cards):
        others = [
            (other, each) for other in cards if other is not card and other.static_ip for each in other.static_ip.networks
        ]
        for place, route in enumerate(card.routes):
            taken = next((it for it in others if it[1].version == 4 and route.to.subnet_of(it[1])), None)
            if taken:
                yield (
                    (number, "routes", place, "to"),
                    f"{route.to} lies in {taken[1]} of {taken[0].name}, where the machine has a card: remove the route",
                )


def _card(number: int, card: NetworkCard) -> Iterator[Fault]:
    if card.role == "none":
        for key in ("static_ip", "routes", "dns_search"):
            if getattr(card, key):
                yield (number, key), "there is no address in a network of role none: remove it, or say role: storage"
    elif card.role == "storage" and card.static_ip:
        for key, advice in (("gateway", "write routes in its place"), ("ipv6_gateway", "remove it")):
            if getattr(card.static_ip, key):
                yield (number, "static_ip", key), f"the default route is that of the nodes' network: {advice}"
    for place, route in enumerate(card.routes):
        if not route.to.prefixlen:
            yield (
                (number, "routes", place, "to"),
                "the default route is static_ip.gateway's of the nodes' network, or DHCP's",
            )
        if card.static_ip and not any(route.via in network for network in card.static_ip.networks):
            yield (number, "routes", place, "via"), f"{route.via} is in no network of this card's static_ip"


Networks = Annotated[list[NetworkCard], Field(min_length=1), AfterValidator(_checked)]
"""Networks of a machine, in the order of its cards: one of the role `node`, and others beside."""
