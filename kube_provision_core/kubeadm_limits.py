"""Limits of kubeadm's own, which a configuration must keep to: it refuses anything else, but only on the machine.

They stand in its packages `app/constants` and `app/apis/kubeadm/validation`.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

MASTER_PROCESSORS = 2
MASTER_MEMORY_MIB = 1700

NODE_NETWORK = 24
"""Every node gets a /24 of the pods' network."""

_POD_NETWORKS = range(NODE_NETWORK - 16, NODE_NETWORK + 1)
"""One that holds a node's network at least, and 2^16 of them at most."""

_SERVICE_NETWORKS = range(12, 29)
"""One that has 10 addresses at least, and 2^20 of them at most."""


def pod_network_fault(network: IPv4Network | IPv6Network) -> str:
    """What is wrong with a network of pods; empty if nothing."""
    return _fault(network, _POD_NETWORKS)


def service_network_fault(network: IPv4Network | IPv6Network) -> str:
    """What is wrong with a network of services; empty if nothing."""
    return _fault(network, _SERVICE_NETWORKS)


def _fault(network: IPv4Network | IPv6Network, lengths: range) -> str:
    return "" if network.prefixlen in lengths else f"must be between a /{lengths[0]} and a /{lengths[-1]}"
