"""A vCenter simulator for each test, and drivers for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from servers.simulator import Inventory, Simulator, Template

from kube_provision_core import Boot, Cluster, Machine, Node, Role, Stamp
from kube_provision_vsphere.config import VsphereConfig
from kube_provision_vsphere.driver import Vsphere

CLUSTER_ID = "00000000-0000-4000-8000-0000000000aa"
LABELS = {Role.MASTER: "m", Role.WORKER: "w", Role.DISCOVERY: "consul"}

MakeDriver = Callable[..., Vsphere]


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulator]]:
    """A function that starts a vCenter with a template `ubuntu` and a folder `k8s`, unless told otherwise."""
    started: list[Simulator] = []

    def start(**options: Any) -> Simulator:
        defaults: dict[str, Any] = {"templates": [Template("ubuntu")], "folders": ["k8s"]}
        simulator = Simulator(**{**defaults, **options}).__enter__()
        started.append(simulator)
        return simulator

    yield start
    for simulator in started:
        crashes = simulator.errors()
        simulator.__exit__(None, None, None)
        assert crashes == ""


@pytest.fixture
def vcenter(simulate: Callable[..., Simulator]) -> Simulator:
    return simulate(inventory=Inventory(datastores=2))


@pytest.fixture
def driver_for() -> Iterator[Callable[..., Vsphere]]:
    """A function that makes a driver for a simulator, with keys of the configuration, and for roles in `roles`."""
    made: list[Vsphere] = []

    def make(simulator: Simulator, roles: Mapping[Role, Mapping[str, Any]] = {}, **keys: Any) -> Vsphere:
        driver = Vsphere({role: config_for(simulator, **{**keys, **roles.get(role, {})}) for role in Role})
        made.append(driver)
        return driver

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def driver(vcenter: Simulator, driver_for: MakeDriver) -> Vsphere:
    return driver_for(vcenter)


def config_for(simulator: Simulator, **keys: Any) -> VsphereConfig:
    given: dict[str, Any] = {
        "vcenter_hostname": simulator.address,
        "vcenter_username": simulator.username,
        "vcenter_password": simulator.password,
        "vcenter_ca_file": simulator.ca_file,
        "template": "ubuntu",
        "folder": "k8s",
    }
    return VsphereConfig(**{key: value for key, value in {**given, **keys}.items() if value is not None})


@pytest.fixture
def node() -> Callable[..., Node]:
    """A function that makes a node of cluster `prod`: `node(2)` is w-prod-2."""

    def make(index: int = 1, role: Role = Role.WORKER, carries_ca: bool = False, **machine: Any) -> Node:
        size = Machine(**{"cpu": 2, "memory_gib": 4, **machine})
        name = f"{LABELS[role]}-prod-{index}"
        return Node(name, role, index, size, Stamp("prod", CLUSTER_ID, role, "0123456789ab", carries_ca))

    return make


@pytest.fixture
def boot() -> Callable[[Node], Boot]:
    return lambda node: Boot(node.name, f"{node.name}-instance", "#cloud-config\nruncmd: [echo, a-secret]\n")


@pytest.fixture
def cluster() -> Cluster:
    """Needs w-prod-1 to w-prod-9 and m-prod-1 to m-prod-9."""
    names = frozenset(f"{label}-prod-{index}" for label in "mw" for index in range(1, 10))
    return Cluster("prod", CLUSTER_ID, "1.36.2", names)
