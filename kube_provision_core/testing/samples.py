"""Values that a contract suite feeds to a driver."""

from __future__ import annotations

from .. import Baked, Boot, Cluster, Image, Machine, Node, Role, Stamp

SECRET = "contract-suite-secret-9f8e7d"  # noqa: S105 - a marker to look for, not a secret
"""Stands in boot data; no driver may show it anywhere."""

CLUSTER_ID = "00000000-0000-4000-8000-000000000001"
OTHER_ID = "00000000-0000-4000-8000-00000000000f"

BAKED = Baked(
    spec="aaaabbbbcccc",
    date="2026-11-27T10:00:00Z",
    system="Contract Linux 1",
    versions={"kubeadm": "1.36.2-1.1", "containerd": "2.2.1"},
    images=("registry.k8s.io/pause:3.10.2",),
)
"""What a machine says that it holds when it has baked itself."""

_ODD = """- path: /etc/odd
  content: |-
    "double" 'single' `back` $dollar ${braces} %percent% \\backslash\\ <tag> & # hash; a\ttab, grüße
"""
"""What somebody's quoting or encoding would not survive."""


def cluster_of(*names: str, name: str = "contract", address: str | None = "192.0.2.10") -> Cluster:
    """A cluster that needs machines of these names."""
    return Cluster(name=name, id=CLUSTER_ID, kubernetes_version="1.36.2", names=frozenset(names), discovery_address=address)


def node_of(
    name: str,
    role: Role = Role.WORKER,
    *,
    cluster: str = "contract",
    cluster_id: str = CLUSTER_ID,
    spec: str = "0123456789ab",
    carries_ca: bool = False,
) -> Node:
    """A small machine."""
    return Node(name, role, 1, Machine(cpu=2, memory_gib=2), Stamp(cluster, cluster_id, role, spec, carries_ca))


def boot_of(node: Node, *, instance: str = "1", secret: str = SECRET) -> Boot:
    """Boot data for it, with a secret inside; another `instance` is that of a later run."""
    user_data = f"#cloud-config\nwrite_files:\n- path: /etc/contract\n  content: {secret}\n{_ODD}"
    return Boot(hostname=node.name, instance_id=f"{node.name}-{instance}", user_data=user_data)


def image_of(baked: Baked) -> Image:
    """What a machine is given that is to hold this, with a secret inside."""
    name = f"bake-{baked.spec}"
    boot = Boot(hostname=name, instance_id=name, user_data=f"#cloud-config\n# {SECRET}\n")
    return Image(baked.spec, boot, "#!/bin/bash\n", Machine(cpu=2, memory_gib=2))
