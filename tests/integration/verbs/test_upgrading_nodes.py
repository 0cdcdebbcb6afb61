"""`upgrade` in a cluster that lives: turn by turn, and whatever breaks it off, the next run goes on where it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from doubles.member import Member
from doubles.site import Operator, Site
from servers.cluster_objects import CONFIG_MAPS, NODES, ClusterObjects
from servers.living_masters import LivingMasters

from kube_provision_core import BootFragment, Node, Stage, Step
from kube_provision_core.boot.tasks import Task, make
from kube_provision_core.contract.machines import Discovery
from kube_provision_core.engine.executor import Event, Interrupt, State
from kube_provision_core.engine.report import PARTLY, Report
from kube_provision_core.engine.verb import Options
from kube_provision_core.engine.wish import Rolling
from kube_provision_core.verbs import run, upgrade, upgrade_system
from kube_provision_core.verbs.upgrade import UPGRADE

pytestmark = pytest.mark.usefixtures("look_often", "harmless")

MASTERS, WORKERS = {"m-prod-1": "127.64.12.1"}, {"w-prod-1": "127.64.12.2", "w-prod-2": "127.64.12.3"}
ALL = {**MASTERS, **WORKERS}
SIZE = {"masters": 1, "workers": 2}
OLD, NEW = "1.36.2", "1.36.4"


class Cluster:
    """Machines that do what they are given in name only; what would come of it is seen at the cluster's API."""

    def __init__(self, objects: ClusterObjects, members: dict[str, Member], site: Site) -> None:
        self.objects, self.members, self.site = objects, members, site
        self.done: list[tuple[str, str]] = []
        for name in members:
            self.run_kubelet(name, OLD)
        for name in MASTERS:
            objects.workloads.run_control_plane(name, OLD)
        self.configure(OLD)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def configure(self, version: str) -> None:
        self.objects._objects[CONFIG_MAPS]["kubeadm-config"] = {
            "metadata": {"name": "kubeadm-config"},
            "data": {"ClusterConfiguration": f"kubernetesVersion: v{version}\n"},
        }

    def run_kubelet(self, name: str, version: str) -> None:
        self.objects.all(NODES)[name]["status"]["nodeInfo"] = {"kubeletVersion": f"v{version}"}

    @property
    def kubelets(self) -> dict[str, str]:
        return {name: node["status"]["nodeInfo"]["kubeletVersion"] for name, node in self.objects.all(NODES).items()}

    @property
    def cordoned(self) -> set[str]:
        return {name for name, node in self.objects.all(NODES).items() if node.get("spec", {}).get("unschedulable")}

    def _live(self) -> None:
        while not self._over.wait(0.03):
            for name, member in self.members.items():
                member.mailbox.write_bytes(self.site.world.tasks.get(name) or b"")
                member.tasks().look()
                self._follow(name, member)
                self.site.world.statuses[name] = member.heard
            self.objects.workloads.settle()

    def _follow(self, name: str, member: Member) -> None:
        said = member.root / "said"
        words = said.read_text().split() if said.exists() else []
        said.unlink(missing_ok=True)
        for word in words:
            self.done.append((word, name))
            if word == "upgrade":
                self.objects.workloads.run_control_plane(name, NEW)
                self.configure(NEW)
            if word == "upgrade-kubelet":
                self.run_kubelet(name, NEW)


@pytest.fixture
def harmless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Steps that leave a trace in place of those that install."""

    def task(verb: str) -> Callable[..., Task]:
        def made(node: Node, *_: object, **__: object) -> Task:
            step = Step("one", Stage.FINISH, f"echo {verb} >>{tmp_path}/{node.name}/said", attempts=1)
            return make(verb, node, {"test": BootFragment(steps=(step,))})

        return made

    named = {"prepare": "prepare-upgrade", "control_plane": "upgrade", "kubelet": "upgrade-kubelet"}
    for name, verb in (named | {"kubelet_settings": "settings"}).items():
        monkeypatch.setattr(upgrade, name, task(verb))
    monkeypatch.setattr(upgrade_system, "system", task("upgrade-os"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.world.addresses = {**ALL, "consul-prod": "127.64.12.9"}
    site.provision(**SIZE)
    site.registry.record = Discovery(initialised=True)
    return site


@pytest.fixture
def cluster(site: Site, tmp_path: Path) -> Iterator[Cluster]:
    assert site.folder
    pki, stamps = site.folder.pki, {name: site.world.vms[name].stamp for name in ALL}
    members = {name: Member(tmp_path / name, pki, name=name, stamp=stamp) for name, stamp in stamps.items() if stamp}
    with LivingMasters(pki, MASTERS, WORKERS) as masters:
        cluster = Cluster(masters.objects, members, site)
        yield cluster
        cluster.end()


def upgraded(site: Site, keys: Mapping[str, Any] | None = None, **more: object) -> Report:
    options = Options(wait=True, backup=False, finish_timeout=60, **more)
    with site.session(kubernetes_version=NEW, **SIZE, **(keys or {})) as session:
        return run.run(UPGRADE, session, options, Operator(site))


def test_every_node_comes_to_the_version_and_takes_pods_again(site: Site, cluster: Cluster) -> None:
    cluster.objects.workloads.run("web-0", "w-prod-1", controller="ReplicaSet")
    report = upgraded(site)
    assert {outcome.state for outcome in report.outcomes} == {State.DONE}, report.outcomes
    assert set(cluster.kubelets.values()) == {f"v{NEW}"}
    assert cluster.done[:1] == [("prepare-upgrade", "m-prod-1")]
    assert cluster.done[3:] == [("upgrade", "m-prod-1"), *(("upgrade-kubelet", name) for name in ALL)]
    assert cluster.objects.workloads.evicted[0] == "web-0"
    assert (cluster.cordoned, site.world.tasks) == (set(), {})
    assert upgraded(site).outcomes == ()


@pytest.mark.parametrize(
    "key", ["prepare-upgrade w-prod-1", "cordon m-prod-1", "upgrade-kubelet w-prod-1", "settle w-prod-2"]
)
def test_what_is_broken_off_goes_on(site: Site, cluster: Cluster, key: str) -> None:
    def break_off(event: Event) -> None:
        if event.action.key == key:
            site.interrupt.request()
            site.interrupt.request()

    site.listen = break_off
    assert upgraded(site).interrupted
    told = {row.name for row in site.status(**SIZE).nodes if "cordoned to be upgraded" in row.text}
    assert told == cluster.cordoned
    site.listen, site.interrupt = lambda event: None, Interrupt()
    report = upgraded(site)
    assert {outcome.state for outcome in report.outcomes} == {State.DONE}, report.outcomes
    assert set(cluster.kubelets.values()) == {f"v{NEW}"}
    assert (cluster.cordoned, site.world.tasks) == (set(), {})


def drifted(site: Site, keys: Mapping[str, Any]) -> set[str]:
    rows = site.status(**SIZE, **keys).nodes
    assert all(row.drifted == bool(row.changes) for row in rows)
    return {row.name for row in rows if row.drifted}


def test_what_was_applied_is_no_drift_any_more_wherever_the_run_was_broken_off(site: Site, cluster: Cluster) -> None:
    def break_off(event: Event) -> None:
        if event.action.key == "settings w-prod-1":
            site.interrupt.request()
            site.interrupt.request()

    assert upgraded(site).exit_code == 0
    keys = {"kubelet": {"maxPods": 200}}
    assert drifted(site, keys) == {*ALL}
    cluster.done.clear()
    site.listen = break_off
    assert upgraded(site, keys).interrupted
    assert drifted(site, keys) == {*WORKERS}
    site.listen, site.interrupt = lambda event: None, Interrupt()
    report = upgraded(site, keys)
    assert {outcome.state for outcome in report.outcomes} == {State.DONE}, report.outcomes
    assert (drifted(site, keys), {*cluster.done}) == (set(), {("settings", name) for name in ALL})
    assert (cluster.cordoned, site.world.tasks) == (set(), {})
    assert upgraded(site, keys).outcomes == ()


def test_the_system_of_every_node_has_its_turn_and_kubernetes_stays(site: Site, cluster: Cluster) -> None:
    cluster.objects.workloads.run("web-0", "w-prod-1", controller="ReplicaSet")
    for _ in range(2):  # what there is to do only the machines know
        report = upgraded(site, system=True)
        assert {outcome.state for outcome in report.outcomes} == {State.DONE}, report.outcomes
    assert cluster.done == [("upgrade-os", name) for name in ALL] * 2
    assert cluster.objects.workloads.evicted[0] == "web-0"
    assert set(cluster.kubelets.values()) == {f"v{OLD}"}
    assert (cluster.cordoned, site.world.tasks) == (set(), {})


def test_no_turn_begins_once_its_time_is_over(site: Site, cluster: Cluster) -> None:
    report = upgraded(site, rolling=Rolling(until=time.time() - 1))
    assert report.exit_code == PARTLY
    assert report.postponed == tuple(ALL)
    assert set(cluster.kubelets.values()) == {f"v{OLD}"}
    assert {verb for verb, _ in cluster.done} == {"prepare-upgrade"}
    assert (cluster.cordoned, site.world.tasks) == (set(), {})


def test_a_node_that_fails_keeps_the_others_from_their_turns_and_nobody_is_left_to_another_time(
    site: Site, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(node: Node, *_: object) -> Task:
        return make(
            "upgrade-kubelet", node, {"test": BootFragment(steps=(Step("one", Stage.FINISH, "exit 7", attempts=1),))}
        )

    monkeypatch.setattr(upgrade, "kubelet", broken)
    report = upgraded(site, rolling=Rolling(until=time.time() + 3600))
    states = {outcome.action.key: outcome.state for outcome in report.outcomes}
    assert states["upgrade-kubelet m-prod-1"] is State.FAILED
    assert states["pause w-prod-1"] is State.SKIPPED
    assert report.postponed == ()
