"""Limits of kubeadm's own, which a configuration must keep to: it refuses anything else, but only on the machine.

They stand in its packages `app/constants` and `app/apis/kubeadm/validation`; those of the kubelet in its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network

MASTER_PROCESSORS = 2
MASTER_MEMORY_MIB = 1700

NODE_NETWORKS = {4: 24, 6: 64}
"""Prefix length of what every node gets of the pods' networks, by IP version."""

_MOST_NODE_NETWORKS = 16
_LEAST_SERVICES, _MOST_SERVICES = 4, 20
"""As powers of 2: 10 addresses fit into 2^4."""


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
    """What is wrong with a network of pods; empty if nothing. It holds a node's network, and 2^16 of them at most."""
    node = NODE_NETWORKS[network.version]
    return _fault(network, range(node - _MOST_NODE_NETWORKS, node + 1))


def service_network_fault(network: IPv4Network | IPv6Network) -> str:
    """What is wrong with a network of services; empty if nothing. It has 10 addresses at least, and 2^20 at most."""
    bits = network.max_prefixlen
    return _fault(network, range(bits - _MOST_SERVICES, bits - _LEAST_SERVICES + 1))


def _fault(network: IPv4Network | IPv6Network, lengths: range) -> str:
    return "" if network.prefixlen in lengths else f"must be between a /{lengths[0]} and a /{lengths[-1]}"
