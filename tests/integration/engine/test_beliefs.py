"""What a run takes for true: not what a machine says of itself, but what the cluster's API says of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from doubles.site import Site
from servers.control_plane import ControlPlaneServer, Fault

from kube_provision_core.cluster import Roll, ask_readiness, node_of
from kube_provision_core.cluster.observe import observe
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.executor import Event, State
from kube_provision_core.engine.handlers import Performer
from kube_provision_core.engine.latest import Latest
from kube_provision_core.engine.nodes import DeleteNode
from kube_provision_core.engine.plan import DestroyVm
from kube_provision_core.engine.report import Report
from kube_provision_core.engine.verb import Options

pytestmark = pytest.mark.usefixtures("look_often")

FINISHED = NodeStatus(Stage.FINISH, "done")
NAMES = ("consul-prod", "m-prod-1", "w-prod-1")
WAIT = Options(wait=True)
ONE = {"masters": 1, "workers": 1}


@pytest.fixture(autouse=True)
def _retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_core.engine.sight.RETRY_SECONDS", 0.0)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A cluster whose machines all say that they have finished."""
    site = Site(tmp_path / "state")
    site.world.addresses = {name: f"127.64.7.{index}" for index, name in enumerate(NAMES, 1)}
    site.provision(**ONE)
    site.world.statuses = dict.fromkeys(NAMES, FINISHED)
    return site


@contextmanager
def api(site: Site) -> Iterator[ControlPlaneServer]:
    """The API server of the one master."""
    assert site.folder
    with ControlPlaneServer(site.folder.pki, site.world.address("m-prod-1")) as server:
        yield server


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def texts(report: Report) -> dict[str, str]:
    return {outcome.action.key: outcome.text for outcome in report.outcomes}


def test_the_boot_data_of_machines_that_have_joined_is_scrubbed_and_of_no_others(site: Site) -> None:
    with api(site) as server:
        server.objects.add_node("m-prod-1", server.address, master=True)
        report = site.provision(WAIT, **ONE)
        assert texts(report)["scrub w-prod-1"].endswith("take away: the cluster does not count it as a node")
        assert (site.world.vms["m-prod-1"].scrubbed, site.world.vms["w-prod-1"].scrubbed) == (True, False)
        server.objects.add_node("w-prod-1", "127.64.7.9")
        site.provision(WAIT, **ONE)
    assert site.world.vms["w-prod-1"].scrubbed


def test_a_cluster_whose_api_answers_is_initialised(site: Site) -> None:
    with api(site) as server:
        server.objects.add_node("m-prod-1", server.address, master=True)
        assert site.status(**ONE).initialised
        site.provision(**ONE)
    assert site.folder
    assert site.folder.initialised


def test_another_clusters_api_proves_nothing(site: Site, tmp_path: Path) -> None:
    other = Site(tmp_path / "other")
    other.provision(**ONE)
    assert other.folder
    with ControlPlaneServer(other.folder.pki, site.world.address("m-prod-1")):
        status = site.status(**ONE)
    assert not status.initialised
    assert "another cluster answers there" in status.kubernetes_error


def test_who_tells_no_version_of_the_cluster_has_told_of_its_nodes_all_the_same(site: Site) -> None:
    with api(site) as server, site.session(**ONE) as session:
        server.objects.add_node("m-prod-1", server.address, master=True)
        seen = observe(session.hook, session.desired.cluster)
        server.faults.extend([Fault(), Fault(status=500)])
        told = ask_readiness(seen, session.folder.pki, version=True)
        assert told.value.version == ""
        assert told.value.nodes[0].ready


@pytest.mark.parametrize("late", ["kubeadm-config", "kube-provision-backup"])
def test_what_a_slow_master_has_told_in_time_counts(site: Site, monkeypatch: pytest.MonkeyPatch, late: str) -> None:
    """It lives, whatever else it was asked: nobody may restore a second one beside it."""
    monkeypatch.setattr("kube_provision_core.cluster.readiness.LIMIT", 3.0)
    with api(site) as server, site.session(**ONE) as session:
        server.objects.add_node("m-prod-1", server.address, master=True)
        seen = observe(session.hook, session.desired.cluster)
        server.faults.append(Fault(delay=600, path=f"/api/v1/namespaces/kube-system/configmaps/{late}"))
        told = ask_readiness(seen, session.folder.pki, version=True)
        assert told.value.nodes[0].ready


def test_the_cluster_is_asked_once_for_all_machines_that_are_scrubbed(site: Site) -> None:
    site.provision(masters=1, workers=8)
    site.world.statuses["m-prod-1"] = NodeStatus(Stage.FINISH, "running")
    with api(site) as server:
        server.objects.add_node("m-prod-1", server.address, master=True)
        for index in range(1, 9):
            server.objects.add_node(f"w-prod-{index}", f"127.64.7.1{index}")
            site.world.statuses[f"w-prod-{index}"] = FINISHED
        report = site.provision(masters=1, workers=8)
        assert sum(action.verb == "scrub" for action in (it.action for it in report.outcomes)) == 8
        assert [request.path.partition("?")[0] for request in server.requests] == ["/api/v1/nodes"]


def test_the_kubeconfig_is_there_as_soon_as_the_first_master_serves(site: Site) -> None:
    """A run that is killed while workers boot has left it."""
    site.world.statuses["w-prod-1"] = NodeStatus(Stage.JOIN, "running")
    site.world.statuses["m-prod-1"] = NodeStatus(Stage.JOIN, "running")
    path = site.state / "prod" / "kubeconfig"
    path.unlink()
    reports: list[Report] = []
    run = threading.Thread(target=lambda: reports.append(site.provision(WAIT, **ONE)))
    with api(site) as server:
        server.objects.add_node("m-prod-1", server.address, master=True)
        run.start()
        until(path.exists)
        assert run.is_alive()
        site.interrupt.request()
        run.join(30)
    running = [event.text for event in site.events if event.action.verb == "ready" and event.state is State.RUNNING]
    assert running[-1] == f"m-prod-1 serves; kubeconfig: {path}"


def test_a_node_that_was_removed_speaks_for_no_machine_of_its_name(site: Site) -> None:
    """Whatever was asked before: the next machine of the name may be scrubbed once it is a node itself."""
    with site.session(**ONE) as session, api(site) as server:
        server.objects.add_node("m-prod-1", server.address, master=True)
        server.objects.add_node("w-prod-1", "127.64.7.9")
        known = Latest(observe(session.hook, session.desired.cluster))
        roll = Roll(lambda: ask_readiness(known.observation, session.folder.pki))
        assert node_of(roll.ask(), "w-prod-1")
        Performer(session, known, roll)(DeleteNode(name="w-prod-1"))
        assert roll.objection("w-prod-1") == "the cluster does not count it as a node"
        server.objects.add_node("w-prod-1", "127.64.7.9")
        assert roll.objection("w-prod-1") == ""


def test_a_node_whose_machine_was_destroyed_is_asked_for_anew(site: Site) -> None:
    with site.session(**ONE) as session, api(site) as server:
        server.objects.add_node("w-prod-1", "127.64.7.9")
        known = Latest(observe(session.hook, session.desired.cluster))
        roll = Roll(lambda: ask_readiness(known.observation, session.folder.pki))
        assert node_of(roll.ask(), "w-prod-1")
        server.objects.delete("/api/v1/nodes", "w-prod-1")
        Performer(session, known, roll)(DestroyVm(vm=known.vm("w-prod-1")))
        assert roll.objection("w-prod-1") == "the cluster does not count it as a node"


class TestWaitingForMastersThatAreNotReady:
    def test_says_why_where_no_network_plugin_is_wished(self, site: Site) -> None:
        with api(site) as server:
            server.objects.add_node("m-prod-1", server.address, master=True, ready=False)
            site.world.statuses["w-prod-1"] = NodeStatus(Stage.JOIN, "failed", "swap is on")
            report = site.provision(WAIT, **ONE)
        assert "m-prod-1: not Ready: the cluster has no network plugin" in texts(report)["ready prod"]

    def test_goes_on_until_they_are(self, site: Site) -> None:
        site.world.statuses["w-prod-1"] = NodeStatus(Stage.JOIN, "running")
        plugin = {**ONE, "seed_manifests": ["https://cni.example/cni.yaml"]}
        with api(site) as server:
            server.objects.add_node("m-prod-1", server.address, master=True, ready=False)
            server.objects.add_node("w-prod-1", "127.64.7.9")

            def mend(event: Event) -> None:
                if "not Ready" in event.text:
                    server.objects.delete("/api/v1/nodes", "m-prod-1")
                    server.objects.add_node("m-prod-1", server.address, master=True)
                    site.world.statuses["w-prod-1"] = FINISHED

            site.listen = mend
            report = site.provision(WAIT, **plugin)
        assert (report.exit_code, texts(report)["ready prod"].startswith("m-prod-1 serves")) == (0, True)

    def test_goes_on_while_they_fall_silent_for_a_moment(self, site: Site) -> None:
        site.world.statuses["w-prod-1"] = NodeStatus(Stage.JOIN, "running")
        with ExitStack() as begun:

            def answer(event: Event) -> None:
                if event.text.startswith("no master can be asked") and site.world.statuses["w-prod-1"] != FINISHED:
                    server = begun.enter_context(api(site))
                    server.objects.add_node("m-prod-1", server.address, master=True)
                    server.objects.add_node("w-prod-1", "127.64.7.9")
                    site.world.statuses["w-prod-1"] = FINISHED

            site.listen = answer
            report = site.provision(WAIT, **ONE)
        assert texts(report)["ready prod"].startswith("m-prod-1 serves")

    def test_ends_where_they_stay_silent(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kube_provision_core.engine.watch.silence_timeout", lambda _: 0.3)
        site.world.statuses["w-prod-1"] = NodeStatus(Stage.JOIN, "failed", "swap is on")
        told = texts(site.provision(WAIT, **ONE))["ready prod"]
        assert told.startswith("whether the masters are Ready is not known: no master can be asked")

    def test_ends_at_once_where_none_has_booted(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kube_provision_core.engine.watch.silence_timeout", lambda _: pytest.fail("nobody is silent"))
        site.world.statuses["m-prod-1"] = NodeStatus(Stage.JOIN, "failed", "swap is on")
        told = texts(site.provision(WAIT, **ONE))["ready prod"]
        assert told.startswith("whether the masters are Ready is not known: no master can be asked")
