"""Values that a contract suite feeds to a driver."""

from __future__ import annotations

from kube_provision_core import Boot, Cluster, Machine, Node, Role, Stamp

SECRET = "contract-suite-secret-9f8e7d"  # noqa: S105 - a marker to look for, not a secret
"""Stands in boot data; no driver may show it anywhere."""

CLUSTER_ID = "00000000-0000-4000-8000-000000000001"


def cluster_of(*names: str, name: str = "contract", address: str | None = "192.0.2.10") -> Cluster:
    """A cluster that needs machines of these names."""
    return Cluster(name=name, id=CLUSTER_ID, kubernetes_version="1.36.2", names=frozenset(names), discovery_address=address)


def node_of(name: str, role: Role = Role.WORKER, *, cluster: str = "contract", cluster_id: str = CLUSTER_ID) -> Node:
    """A small machine."""
    return Node(name, role, 1, Machine(cpu=2, memory_gib=2), Stamp(cluster, cluster_id, role, "0123456789ab"))


def boot_of(node: Node) -> Boot:
    """Boot data for it, with a secret inside."""
    user_data = f"#cloud-config\nwrite_files:\n- path: /etc/contract\n  content: {SECRET}\n"
    return Boot(hostname=node.name, instance_id=f"{node.name}-1", user_data=user_data)
