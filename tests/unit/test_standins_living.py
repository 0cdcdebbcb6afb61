"""A cluster that lives refuses an upgrade that real machines would refuse, whoever gives them what to do."""

from __future__ import annotations

import pytest
from servers.cluster_objects import NODES, ClusterObjects
from servers.living_versions import BEGINNING, RefusedTaskError, Versions

from kube_provision_core import Component, Machine, Node, Role, Stamp
from kube_provision_core.boot import tasks
from kube_provision_core.boot.tasks import make, upgrade
from kube_provision_core.cluster.cordon import CORDONED
from kube_provision_core.config.core import CoreConfig
from kube_provision_core.contract.packages import Packages
from kube_provision_debian.driver import Debian
from kube_provision_node.tasks import Task

V = "1.37.2"
MASTERS = ("m-prod-1", "m-prod-2")
NAMES = (*MASTERS, "w-prod-1")
CONFIG = CoreConfig.model_validate(
    {"name": "prod", "kubernetes_version": V, "target": "fake", "os": "debian", "discovery": "fake"}
)


class Cluster:
    """What every machine is given comes from the program itself."""

    def __init__(self) -> None:
        self.objects = ClusterObjects()
        self.versions = Versions(self.objects)
        self.versions.begin(BEGINNING)
        self.restarted: list[str] = []
        for name in NAMES:
            self.objects.add_node(name, "127.0.0.1", master=name in MASTERS)
            self.versions.join(name, master=name in MASTERS)
        self.settle()

    def settle(self) -> None:
        self.objects.workloads.settle()
        self.versions.settle()

    def do(self, name: str, task: tasks.Task) -> None:
        taken = Task("id", task.verb, "cluster", name, 0.0, 1.0, **task.content)
        self.versions.carry_out(name, taken, self.restarted.append)
        self.settle()

    def prepare(self, *names: str) -> None:
        for name in names:
            self.do(name, upgrade.prepare(node(name), packages(Component.KUBEADM_ALONE), CONFIG))

    def upgrade(self, name: str, *, first: bool = False) -> None:
        self.do(name, upgrade.control_plane(node(name), V, first, CONFIG))

    def upgrade_kubelet(self, name: str) -> None:
        self.do(name, upgrade.kubelet(node(name), V, packages(Component.KUBEADM), CONFIG))

    def mark(self, name: str, *, cordoned: bool) -> None:
        """As a run cordons it, and gives it back."""
        known = self.objects.get(NODES, name)
        metadata = {**known["metadata"], "annotations": {CORDONED: "true"} if cordoned else {}}
        spec = {"unschedulable": True} if cordoned else {}
        self.objects.replace(NODES, name, {**known, "metadata": metadata, "spec": spec})

    def turn(self, name: str, *, first: bool = False) -> None:
        if name in MASTERS:
            self.upgrade(name, first=first)
        self.mark(name, cordoned=True)
        self.upgrade_kubelet(name)
        self.mark(name, cordoned=False)


def node(name: str) -> Node:
    role = Role.MASTER if name in MASTERS else Role.WORKER
    return Node(name, role, 1, Machine(2, 2), Stamp("prod", "an-id", role, "spec"))


def packages(component: Component) -> Packages:
    return Debian({}).os_packages(frozenset({component}), {"kubeadm": V}, {}, frozenset())


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def refused(because: str) -> pytest.RaisesExc[RefusedTaskError]:
    return pytest.raises(RefusedTaskError, match=because)


def test_takes_an_upgrade_in_its_order(cluster: Cluster) -> None:
    cluster.prepare(*NAMES)
    for name in NAMES:
        cluster.turn(name, first=name == NAMES[0])
    versions = cluster.versions
    assert (versions.cluster, set(versions.kubelets.values())) == (V, {V})
    assert versions.control_planes == dict.fromkeys(MASTERS, V)
    assert set(versions.addons.values()) == {V}
    assert (list(versions.away()), cluster.restarted) == ([], [*MASTERS])


def test_takes_each_step_twice(cluster: Cluster) -> None:
    cluster.prepare(NAMES[0], NAMES[0])
    cluster.upgrade(NAMES[0], first=True)
    cluster.upgrade(NAMES[0], first=True)
    cluster.upgrade(NAMES[0])
    assert cluster.versions.addons["daemonsets/kube-proxy"] == BEGINNING, "a master is not there yet"


def test_refuses_a_control_plane_without_its_kubeadm(cluster: Cluster) -> None:
    with refused("kubeadm is 1.37.1, and not 1.37.2"):
        cluster.upgrade(MASTERS[0], first=True)


def test_refuses_followers_before_the_first(cluster: Cluster) -> None:
    cluster.prepare(*NAMES)
    with refused("apply comes before node"):
        cluster.upgrade(MASTERS[0])


def test_refuses_a_second_turn_before_the_first_is_over(cluster: Cluster) -> None:
    cluster.prepare(*NAMES)
    cluster.upgrade(MASTERS[0], first=True)
    with refused("m-prod-1 is away, too"):
        cluster.upgrade(MASTERS[1])
    cluster.mark(MASTERS[1], cordoned=True)
    with pytest.raises(AssertionError, match="away at once: m-prod-1, m-prod-2"):
        cluster.settle()


@pytest.mark.parametrize("name", [MASTERS[0], "w-prod-1"])
def test_refuses_a_kubelet_newer_than_api_servers(cluster: Cluster, name: str) -> None:
    cluster.prepare(*NAMES)
    cluster.mark(name, cordoned=True)
    with refused("newer than API servers: 1.37.1"):
        cluster.upgrade_kubelet(name)


def test_refuses_a_workers_kubelet_until_the_last_master_is_there(cluster: Cluster) -> None:
    cluster.prepare(*NAMES)
    cluster.turn(MASTERS[0], first=True)
    with refused("newer than API servers: 1.37.1, 1.37.2"):
        cluster.turn("w-prod-1")


def test_refuses_a_kubelet_of_a_node_that_takes_or_has_pods(cluster: Cluster) -> None:
    cluster.prepare(*NAMES)
    cluster.upgrade(MASTERS[0], first=True)
    with refused("is not cordoned"):
        cluster.upgrade_kubelet(MASTERS[0])
    cluster.objects.workloads.run("web-0", MASTERS[0], controller="ReplicaSet")
    cluster.mark(MASTERS[0], cordoned=True)
    with refused("is not drained: web-0"):
        cluster.upgrade_kubelet(MASTERS[0])


def test_refuses_more_than_kubeadm_beforehand(cluster: Cluster) -> None:
    with refused("kubeadm alone is to be installed, and not kubeadm, kubelet"):
        cluster.do(NAMES[0], upgrade.prepare(node(NAMES[0]), packages(Component.KUBEADM), CONFIG))


def test_refuses_what_is_no_upgrade(cluster: Cluster) -> None:
    with refused("nobody knows what reboot is"):
        cluster.do(NAMES[0], make("reboot", node(NAMES[0]), {}))
    with refused("w-prod-1 is no master"):
        cluster.do("w-prod-1", make("renew", node("w-prod-1"), {}))
