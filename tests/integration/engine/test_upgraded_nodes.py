"""What is done and awaited of nodes that are upgraded, as the cluster's API shows them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doubles.site import Site
from servers.cluster_objects import NODES
from servers.control_plane import ControlPlaneServer, Fault

from kube_provision_core.cluster import Roll, ask_readiness
from kube_provision_core.cluster.cordon import Purpose
from kube_provision_core.cluster.observe import observe
from kube_provision_core.contract.components import Component
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.contract.machines import Role
from kube_provision_core.engine.executor import Sight, State
from kube_provision_core.engine.facts import Facts
from kube_provision_core.engine.handlers import Performer
from kube_provision_core.engine.latest import Latest
from kube_provision_core.engine.nodes import AwaitAddons, AwaitReady, CordonNode, LabelNode, Pause, UncordonNode
from kube_provision_core.engine.plan import Action
from kube_provision_core.engine.session import Session
from kube_provision_core.engine.watch import Watcher

pytestmark = pytest.mark.usefixtures("look_often")

ADDRESSES = {"m-prod-1": "127.64.11.1", "w-prod-1": "127.64.11.2"}
ONE = {"masters": 1, "workers": 1}
OLD, NEW = "1.36.2", "1.36.4"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.world.addresses = {**ADDRESSES, "consul-prod": "127.64.11.9"}
    site.provision(**ONE)
    return site


@pytest.fixture
def server(site: Site) -> Iterator[ControlPlaneServer]:
    assert site.folder
    with ControlPlaneServer(site.folder.pki, ADDRESSES["m-prod-1"]) as server:
        for name, address in ADDRESSES.items():
            server.objects.add_node(name, address, master=name.startswith("m"))
            run_kubelet(server, name, OLD)
        server.objects.workloads.run_control_plane("m-prod-1", OLD)
        yield server


@pytest.fixture
def session(site: Site) -> Iterator[Session]:
    with site.session(**ONE) as session:
        yield session


@pytest.fixture
def latest(session: Session) -> Latest:
    return Latest(observe(session.hook, session.desired.cluster))


@pytest.fixture
def roll(session: Session, latest: Latest) -> Roll:
    return Roll(lambda: ask_readiness(latest.observation, session.folder.pki))


@pytest.fixture
def perform(session: Session, latest: Latest, roll: Roll) -> Performer:
    return Performer(session, latest, roll)


@pytest.fixture
def watch(session: Session, latest: Latest, roll: Roll) -> Watcher:
    return Watcher(session, latest, roll, address_timeout=1.0, finish_timeout=1.0)


def run_kubelet(server: ControlPlaneServer, name: str, version: str, ready: bool = True) -> None:
    node: dict[str, Any] = server.objects.all(NODES)[name]
    node["status"]["nodeInfo"] = {"kubeletVersion": f"v{version}"}
    node["status"]["conditions"] = [{"type": "Ready", "status": "True" if ready else "False", "message": "it starts"}]


def seen(watch: Watcher, action: Action) -> Sight:
    return watch([action])[action.key]


@pytest.fixture
def settled(session: Session) -> dict[str, AwaitReady]:
    return {node.name: AwaitReady(node=node, version=NEW) for node in session.desired.nodes}


class TestCordons:
    def test_of_ours_are_taken_away(self, perform: Performer, server: ControlPlaneServer) -> None:
        perform(CordonNode(name="w-prod-1", purpose=Purpose.REMOVED))
        assert perform(UncordonNode(name="w-prod-1")) == "pods begin there again"
        assert server.objects.all(NODES)["w-prod-1"]["spec"] == {}

    def test_of_others_stay(self, perform: Performer, server: ControlPlaneServer) -> None:
        server.objects.all(NODES)["w-prod-1"]["spec"] = {"unschedulable": True}
        perform(CordonNode(name="w-prod-1", purpose=Purpose.REMOVED))
        assert perform(UncordonNode(name="w-prod-1")) == "stays cordoned, as somebody else has it"


class TestLabels:
    def test_are_given_over_the_api_and_others_stay(
        self, perform: Performer, server: ControlPlaneServer, session: Session
    ) -> None:
        worker = session.desired.workers[0]
        before = dict(server.objects.all(NODES)[worker.name]["metadata"].get("labels") or {})
        wished = (("disk", "fast"), ("node-role.kubernetes.io/worker", ""))
        for _ in range(2):
            assert perform(LabelNode(node=worker, labels=wished)) == "disk=fast, node-role.kubernetes.io/worker="
        assert server.objects.all(NODES)[worker.name]["metadata"]["labels"] == before | dict(wished)

    def test_are_given_although_the_cluster_gives_no_answer_for_a_moment(
        self, perform: Performer, server: ControlPlaneServer, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kube_provision_core.cluster.labels._PAUSE", 0.05)
        server.faults.extend([Fault(status=500), Fault(), Fault(status=503)])
        assert perform(LabelNode(node=session.desired.workers[0], labels=(("disk", "fast"),))) == "disk=fast"
        assert not server.faults

    def test_that_the_cluster_does_not_take_are_told_at_once(
        self, perform: Performer, server: ControlPlaneServer, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kube_provision_core.cluster.labels._PAUSE", 1000.0)
        server.faults.extend([Fault(), Fault(status=422)])
        with pytest.raises(ControlPlaneError, match="does not label node") as refused:
            perform(LabelNode(node=session.desired.workers[0], labels=(("disk", "fast"),)))
        assert not refused.value.retryable

    def test_of_a_node_that_never_registers_are_not_given(
        self, perform: Performer, server: ControlPlaneServer, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker = session.desired.workers[0]
        monkeypatch.setattr("kube_provision_core.cluster.labels.REGISTRATION", 0.0)
        server.objects.delete(NODES, worker.name)
        with pytest.raises(ControlPlaneError, match=f"does not know node {worker.name}"):
            perform(LabelNode(node=worker, labels=(("disk", "fast"),)))


class TestSettling:
    def test_of_a_worker_waits_for_its_kubelet(
        self, watch: Watcher, server: ControlPlaneServer, settled: dict[str, AwaitReady]
    ) -> None:
        action = settled["w-prod-1"]
        assert seen(watch, action) == Sight(State.RUNNING, "its kubelet is at 1.36.2 still")
        run_kubelet(server, "w-prod-1", NEW, ready=False)
        assert seen(watch, action) == Sight(State.RUNNING, "not Ready: it starts")
        run_kubelet(server, "w-prod-1", NEW)
        assert seen(watch, action) == Sight(State.DONE, "Ready")

    def test_of_a_master_waits_for_its_control_plane_too(
        self, watch: Watcher, server: ControlPlaneServer, settled: dict[str, AwaitReady]
    ) -> None:
        action = settled["m-prod-1"]
        run_kubelet(server, "m-prod-1", NEW)
        assert seen(watch, action) == Sight(State.RUNNING, "kube-apiserver is at 1.36.2")
        server.objects.workloads.run_control_plane("m-prod-1", NEW, ready=False)
        assert seen(watch, action) == Sight(State.RUNNING, "kube-apiserver is not ready")
        server.objects.workloads.run_control_plane("m-prod-1", NEW)
        assert seen(watch, action) == Sight(State.DONE, "Ready")

    def test_fails_with_what_is_still_missing(
        self,
        watch: Watcher,
        server: ControlPlaneServer,
        settled: dict[str, AwaitReady],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        seen(watch, settled["w-prod-1"])
        monkeypatch.setattr("kube_provision_core.engine.watch.ready_timeout", lambda finish: 0.0)
        assert seen(watch, settled["w-prod-1"]) == Sight(State.FAILED, "its kubelet is at 1.36.2 still")


class TestAddons:
    ACTION = AwaitAddons(cluster="prod", version=NEW)

    def test_are_waited_for(self, watch: Watcher, server: ControlPlaneServer) -> None:
        template = {"spec": {"containers": [{"image": f"registry.example/kube-proxy:v{OLD}"}]}}
        proxy = {"metadata": {"name": "kube-proxy"}, "spec": {"template": template}}
        server.objects.workloads.addons["daemonsets/kube-proxy"] = proxy
        assert seen(watch, self.ACTION) == Sight(State.RUNNING, "kube-proxy is at 1.36.2")
        server.objects.workloads.addons.clear()
        assert seen(watch, self.ACTION) == Sight(State.DONE, "as 1.36.4 brings them")

    def test_are_waited_for_through_a_masters_silence(self, watch: Watcher, server: ControlPlaneServer) -> None:
        server.stop()
        assert seen(watch, self.ACTION).state is State.RUNNING


class TestATurn:
    def test_does_not_begin_once_it_is_too_late(self, watch: Watcher) -> None:
        over = seen(watch, Pause(name="w-prod-1", until=time.time() - 1))
        assert over.state is State.SKIPPED
        assert over.text.startswith("left to another run: ")

    def test_begins_while_there_is_time(self, watch: Watcher) -> None:
        assert seen(watch, Pause(name="w-prod-1", until=time.time() + 60)).state is State.DONE


def test_what_an_upgrade_has_to_know_is_asked_of_the_cluster_and_the_system(
    session: Session, server: ControlPlaneServer
) -> None:
    server.metrics = 'apiserver_requested_deprecated_apis{group="",removed_release="1.36",resource="x",version="v1"} 1\n'
    facts = Facts(session)
    assert {pod.version for pod in facts.control_planes()["m-prod-1"]} == {OLD}
    assert facts.removed_apis("1.36.4") == ("v1 x (removed in 1.36)",)
    assert facts.unread_settings() == ()
    assert facts.core(Role.MASTER).masters == 1
    assert facts.packages(Component.KUBEADM_ALONE, NEW).names
    assert [step.name for step in facts.upgrade_packages()] == ["packages"]
