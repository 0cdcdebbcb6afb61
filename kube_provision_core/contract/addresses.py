"""Which of the addresses that are told of a machine the rest of the cluster can use, and why the others do not count.

One rule for every target: machines find each other by IPv4, also in a dual-stack cluster, and what a machine is told about
its neighbours goes into its files for good.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

from .machines import Cluster
from .subnets import subnets

DOCKER_BRIDGE = IPv4Network("172.17.0.0/16")
"""Docker's default network, of which every host has the same addresses."""

MOST_REASONS = 3
"""A node's interfaces for pods may tell hundreds of addresses."""


@dataclass(frozen=True, slots=True)
class MachineAddresses:
    """What was told of one machine, judged."""

    usable: tuple[str, ...] = ()
    """For `Vm.addresses`: the preferred one first."""
    notice: str = ""
    """For `Vm.notice`: why what was told does not count; empty where something does, and where nothing was told."""


def judge_addresses(
    told: Iterable[str],
    cluster: Cluster,
    *,
    sure: Collection[str] = (),
    expected: str | None = None,
    only_in: IPv4Network | None = None,
) -> MachineAddresses:
    """Judge the addresses that are told of a machine, the preferred one first. Pure; what is no address is passed over.

    `sure`: those that surely belong to one of the machine's own cards (the guest names the card for them, there is a DHCP
    lease). Any other may be the near end of a container bridge: it is not believed where it looks like one.
    `expected`: the static address with which the machine was made. It comes first, and until it is told nothing counts.
    `only_in`: the network in which the configuration wants the address to be.
    """
    usable: dict[str, None] = {}
    reasons: dict[str, None] = {}
    six = ""
    for address in map(_parse, told):
        if address is None or (address.is_loopback and str(address) not in sure):
            continue
        if isinstance(address, IPv6Address):
            six = six or str(address)
        elif reason := _objection(address, cluster, str(address) in sure, expected, only_in):
            reasons[f"{address} {reason}"] = None
        else:
            usable[str(address)] = None
    if expected and expected not in usable:
        reasons |= {f"{address} is not the configured {expected}": None for address in usable}
        usable = {}
    if usable:
        return MachineAddresses(tuple(sorted(usable, key=lambda address: address != expected)))
    if six and not reasons:
        reasons[f"only IPv6 so far: {six}"] = None
    return MachineAddresses(notice="; ".join(list(reasons)[:MOST_REASONS]))


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """None too for what every machine has and nobody waits for."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    common = address.is_unspecified or address.is_multicast
    return None if common or (address.version == 6 and address.is_link_local) else address


def _objection(address: IPv4Address, cluster: Cluster, sure: bool, expected: str | None, only_in: IPv4Network | None) -> str:
    """Why it does not count; empty where it does."""
    if str(address) == expected:
        return ""
    if address.is_link_local:
        return "is link-local: no DHCP server has answered"
    for key, written in (("pod_subnet", cluster.pod_subnet), ("service_subnet", cluster.service_subnet)):
        four, *_ = subnets(written)
        if address in four:
            return f"lies in {key} {four}"
    if not sure and (address in DOCKER_BRIDGE or str(address).endswith(".1")):
        return "looks like a container bridge's"
    if only_in is not None and address not in only_in:
        return f"is outside {only_in}, where addresses are to be"
    return ""
