"""A VMware for each test, and machines for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.vmware import Vmware

from kube_provision_core import Boot, Cluster, Machine, Node, Role, Stamp, Vm
from kube_provision_fusion.driver import Fusion

CLUSTER_ID = "00000000-0000-4000-8000-0000000000aa"
SECRET = "fusion-test-secret-1c2b3a"

MakeNode = Callable[..., Node]


@pytest.fixture
def vmware(tmp_path: Path) -> Iterator[Vmware]:
    vmware = Vmware(tmp_path)
    vmware.install()
    yield vmware
    vmware.end()


@pytest.fixture
def driver(vmware: Vmware) -> Fusion:
    return vmware.driver()


@pytest.fixture
def cluster() -> Cluster:
    names = frozenset({"m-prod-1", "m-prod-2", "w-prod-1", "w-prod-2", "w-prod-3"})
    return Cluster(name="prod", id=CLUSTER_ID, kubernetes_version="1.36", names=names)


@pytest.fixture
def node() -> MakeNode:
    def make(name: str = "w-prod-1", *, cluster: str = "prod", cluster_id: str = CLUSTER_ID, **size: Any) -> Node:
        role = Role.MASTER if name.startswith("m-") else Role.WORKER
        machine = Machine(**{"cpu": 2, "memory_gib": 3, **size})
        return Node(name, role, 1, machine, Stamp(cluster, cluster_id, role, "0123456789ab"))

    return make


@pytest.fixture
def boot() -> Callable[[Node], Boot]:
    def make(node: Node) -> Boot:
        return Boot(node.name, f"{node.name}-1", f"#cloud-config\nwrite_files: [{{path: /etc/x, content: {SECRET}}}]\n")

    return make


@pytest.fixture
def vm(driver: Fusion, node: MakeNode, boot: Callable[[Node], Boot]) -> Vm:
    """A machine that is made."""
    return driver.provision_vm(node=node(), boot=boot(node()))
