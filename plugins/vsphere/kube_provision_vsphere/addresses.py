"""What guest tools tell of a machine's network: the addresses that count, and what stands in the way of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network

from kube_provision_core import Cluster, MachineAddresses, judge_addresses


@dataclass(frozen=True, slots=True)
class GuestNic:
    """One interface inside of a machine."""

    key: int
    """Key of the virtual network card behind it; negative for a bridge, a tunnel, a container's interface."""
    addresses: tuple[str, ...]
    connected: bool = True
    mac_address: str = ""


@dataclass(frozen=True, slots=True)
class GuestNetwork:
    """All that guest tools tell."""

    nics: tuple[GuestNic, ...] = ()
    primary: str | None = None
    """What they call the machine's address, used where they tell nothing about cards."""
    tools_run: bool = True

    @property
    def cards(self) -> list[GuestNic]:
        return sorted((nic for nic in self.nics if nic.key >= 0), key=lambda nic: nic.key)


def judge(
    told: GuestNetwork, cluster: Cluster, *, expected: str | None, only_in: IPv4Network | None, mac_address: str = ""
) -> MachineAddresses:
    """`expected` is the machine's static address, `only_in` the network in which addresses are to be.

    `mac_address`: of its card in the nodes' network; empty: it has none but in that.
    """
    cards = told.cards
    sure = [it for card in cards for it in card.addresses if mac_address in ("", card.mac_address)]
    addresses = sure if cards or mac_address else [told.primary or ""]
    judged = judge_addresses(addresses, cluster, sure=sure, expected=expected, only_in=only_in)
    if judged.usable:
        return judged
    return replace(judged, notice="; ".join(filter(None, [*_unplugged(cards), judged.notice or _silence(told)])))


def _unplugged(cards: Sequence[GuestNic]) -> list[str]:
    return [f"network card {number} is not connected" for number, card in enumerate(cards, 1) if not card.connected]


def _silence(told: GuestNetwork) -> str:
    """What there is to say where no address was told that is worth a word."""
    if not told.tools_run:
        return "guest tools do not run"
    if not told.cards:
        return "guest tools run and tell no network card"
    return "" if _unplugged(told.cards) else "guest tools tell no address yet: does a DHCP server answer?"
