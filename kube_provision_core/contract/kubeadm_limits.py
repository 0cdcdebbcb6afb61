"""Limits of kubeadm's own, which a configuration must keep to: it refuses anything else, but only on the machine.

They stand in its packages `app/constants` and `app/apis/kubeadm/validation`; those of the kubelet in its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network

MASTER_PROCESSORS = 2
MASTER_MEMORY_MIB = 1700

NODE_NETWORK = 24
"""Every node gets a /24 of the pods' network."""

_POD_NETWORKS = range(NODE_NETWORK - 16, NODE_NETWORK + 1)
"""One that holds a node's network at least, and 2^16 of them at most."""

_SERVICE_NETWORKS = range(12, 29)
"""One that has 10 addresses at least, and 2^20 of them at most."""


_OF_KUBERNETES = ("kubernetes.io", "k8s.io")
_OF_KUBELETS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_KUBELET_LABELS = frozenset(
    {
        *("kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "node.kubernetes.io/instance-type"),
        *("topology.kubernetes.io/zone", "topology.kubernetes.io/region"),
        *("beta.kubernetes.io/os", "beta.kubernetes.io/arch", "beta.kubernetes.io/instance-type"),
        *("failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region"),
    }
)
"""As the package `k8s.io/kubelet/pkg/apis` lists them."""


def node_label_fault(key: str) -> str:
    """What is wrong with a label for the kubelet's `--node-labels`; empty if nothing.

    It refuses to start with one that could make its node a better one than it is, such as `node-role.kubernetes.io/worker`.
    """
    if not _is_within(key, _OF_KUBERNETES) or _is_within(key, _OF_KUBELETS) or key in _KUBELET_LABELS:
        return ""
    return "is a label that a kubelet may not give its own node; give it by the key `labels`, which the run sees to"


def _is_within(key: str, domains: Iterable[str]) -> bool:
    prefix = key.rpartition("/")[0]
    return any(prefix == domain or prefix.endswith(f".{domain}") for domain in domains)


def pod_network_fault(network: IPv4Network | IPv6Network) -> str:
    """What is wrong with a network of pods; empty if nothing."""
    return _fault(network, _POD_NETWORKS)


def service_network_fault(network: IPv4Network | IPv6Network) -> str:
    """What is wrong with a network of services; empty if nothing."""
    return _fault(network, _SERVICE_NETWORKS)


def _fault(network: IPv4Network | IPv6Network, lengths: range) -> str:
    return "" if network.prefixlen in lengths else f"must be between a /{lengths[0]} and a /{lengths[-1]}"
