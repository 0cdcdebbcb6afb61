"""A type for keys that hold what lies in the nodes' network: there, pods and services must have no part."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_network
from typing import Annotated, TypeVar

from pydantic import AfterValidator, ValidationInfo

from .subnets import Subnets

TAKEN = "taken networks"
"""Validation context: the networks of pods and services, by key."""

Place = TypeVar("Place", bound=IPv4Address | IPv4Interface | IPv4Network | IPv6Address | IPv6Interface | IPv6Network)


def network_fault(value: Place, taken: Mapping[str, Subnets]) -> str:
    """What is wrong with a place outside of the cluster's own networks, which are `taken` by key; empty where nothing is."""
    place = ip_network(getattr(value, "ip", value))
    for key, networks in taken.items():
        for network in networks:
            if _lies_in(place, network):
                return (
                    f"{value} lies in {key} {network}, which is for the inside of the cluster alone: "
                    f"choose another address or {key}"
                )
    return ""


def _lies_in(place: IPv4Network | IPv6Network, network: IPv4Network | IPv6Network) -> bool:
    return place.network_address in network and place.broadcast_address in network


def check_node_network(value: Place, info: ValidationInfo) -> Place:
    """What `OnNodeNetwork` does, for texts of which an address is a part. Raises ValueError."""
    if scope := getattr(value, "scope_id", None):
        raise ValueError(f"must be without %{scope}: interfaces are called otherwise on other machines")
    if fault := network_fault(value, (info.context or {}).get(TAKEN, {})):
        raise ValueError(fault)
    return value


OnNodeNetwork = Annotated[Place, AfterValidator(check_node_network)]
"""An address or a network on the nodes' side: `OnNodeNetwork[IPv4Address]`, also of an interface, of a network, of a union.

Refused at its line where it lies in `pod_subnet` or `service_subnet`: a node takes what is sent there for a pod's or a
service's.
"""
