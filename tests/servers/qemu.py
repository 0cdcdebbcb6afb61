"""What tests of the QEMU driver share: nodes to make machines from, and ending whatever a test left running."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kube_provision_core import Boot, Cluster, Machine, Node, Role, Stamp
from kube_provision_qemu import processes

CLUSTER = Cluster("home", "id-of-home", "1.37", frozenset())
"""The cluster of `node`'s machines."""


def node(name: str, role: Role = Role.WORKER, index: int = 1, *, cluster: str = "home", **size: Any) -> Node:
    """A machine of 1 GiB, of which one without an operating system touches next to nothing."""
    machine = Machine(cpu=1, memory_gib=1, **size)
    return Node(name, role, index, machine, Stamp(cluster, f"id-of-{cluster}", role, "spec"))


def boot(of: Node, user_data: str = "#cloud-config\n") -> Boot:
    return Boot(of.name, f"{of.name}-1", user_data)


def end_processes(vm_dir: Path) -> None:
    """End the machines, routers and switches of that folder, by their pid files' locks."""
    for pattern in ("machines/*/pid", "networks/*/pid", "networks/*/switch.pid"):
        for pid_file in vm_dir.glob(pattern):
            processes.kill(pid_file)
