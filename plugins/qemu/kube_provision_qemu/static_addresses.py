"""Addresses that the configuration gives machines: which are given already, to machines that keep them for life."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kube_provision_core import NetworkCard, Node, key_in_networks

from . import host_networks, record
from .places import Places


def given(cards: Sequence[NetworkCard], index: int) -> tuple[tuple[str, str], ...]:
    """The addresses of a machine with these cards, each behind the name of its network."""
    return tuple((name, address) for _, name, address in _numbered(cards, index))


def problems(places: Places, machines: Iterable[tuple[Node, Sequence[NetworkCard]]]) -> Iterator[str]:
    """Addresses of machines that are yet to be made, which others have: of whatever cluster of this user's."""
    owners = {
        (_link(made.stamp.cluster, name), address): made.name
        for made in record.read_all(places)
        for name, address in made.static_addresses
    }
    for node, cards in machines:
        for number, name, address in _numbered(cards, node.index):
            owner = owners.get((_link(node.stamp.cluster, name), address), node.name)
            if owner != node.name:  # one that is made anew gets its own back
                yield (
                    f"{key_in_networks(number, 'static_ip')}: {address} would be given to {node.name}, and {owner} has it: "
                    "write new addresses behind those of machines that there are, and none twice"
                )


def _numbered(cards: Sequence[NetworkCard], index: int) -> Iterator[tuple[int, str, str]]:
    for number, card in enumerate(cards):
        for address in card.static_ip.all_of(index) if card.static_ip else ():
            if address:
                yield number, card.name, str(address.ip)


def _link(cluster: str, network: str) -> str:
    """What tells networks apart. Those of this host are one: taps of several clusters are on one bridge."""
    return "" if host_networks.has_interface(network) else f"{cluster}/{network}"
