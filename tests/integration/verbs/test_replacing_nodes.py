"""`replace` in a cluster that lives: a machine goes and comes anew, and whatever breaks it off, the next run ends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.site import Site
from servers.cluster_objects import NODES
from servers.control_plane import ControlPlaneServer, Fault

from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.contract.machines import Discovery
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.executor import Event, Interrupt, State
from kube_provision_core.engine.report import Report
from kube_provision_core.engine.verb import Options
from kube_provision_core.engine.wish import Draining, Rolling

pytestmark = pytest.mark.usefixtures("look_often")

SIZE = {"masters": 1, "workers": 3}
ADDRESSES = {"m-prod-1": "127.64.8.1", **{f"w-prod-{index}": f"127.64.8.1{index}" for index in (1, 2, 3)}}
FINISHED = NodeStatus(Stage.FINISH, "done")
STEPS = ("cordon", "drain", "destroy", "delete-node", "mint", "create", "boot", "scrub", "settle")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.world.addresses = {**ADDRESSES, "consul-prod": "127.64.8.9"}
    site.provision(**SIZE)
    site.registry.record = Discovery(initialised=True)
    site.world.statuses = dict.fromkeys((*ADDRESSES, "consul-prod"), FINISHED)
    return site


@pytest.fixture
def server(site: Site) -> Iterator[ControlPlaneServer]:
    """The master's API server; whoever boots becomes a node."""
    assert site.folder
    with ControlPlaneServer(site.folder.pki, ADDRESSES["m-prod-1"]) as server:
        for name, address in ADDRESSES.items():
            server.objects.add_node(name, address, master=name.startswith("m"))
        site.listen = lambda event: join(site, server, event)
        yield server


def join(site: Site, server: ControlPlaneServer, event: Event) -> None:
    name = event.action.subject
    if event.action.verb == "boot" and name in site.world.vms and name not in server.objects.all(NODES):
        server.objects.add_node(name, ADDRESSES[name])
    server.objects.workloads.settle()


def uid(server: ControlPlaneServer, name: str) -> str:
    return str(server.objects.all(NODES)[name]["metadata"]["uid"])


def done(report: Report) -> list[str]:
    assert {outcome.state for outcome in report.outcomes} == {State.DONE}, report.outcomes
    return [outcome.action.key for outcome in report.outcomes]


def test_a_worker_goes_and_comes_anew(site: Site, server: ControlPlaneServer) -> None:
    before = uid(server, "w-prod-2")
    server.objects.workloads.run("web-0", "w-prod-2", controller="ReplicaSet")
    report = site.replace("w-prod-2", **SIZE)
    assert done(report) == [*(f"{step} w-prod-2" for step in STEPS), "arrange prod"]
    assert server.objects.workloads.evicted == ["web-0"]
    assert uid(server, "w-prod-2") != before
    assert set(site.world.vms) == {*ADDRESSES, "consul-prod"}


def test_every_new_machine_gets_a_token_of_its_own(site: Site, server: ControlPlaneServer) -> None:
    site.replace("w-prod-1", "w-prod-2", **SIZE)
    tokens = [name for name in server.objects.all("/api/v1/namespaces/kube-system/secrets") if "bootstrap-token" in name]
    assert len(tokens) == 2


def test_the_next_one_goes_only_when_the_last_one_is_ready(site: Site, server: ControlPlaneServer) -> None:
    def never_ready(event: Event) -> None:
        if event.action.key == "boot w-prod-1" and "w-prod-1" not in server.objects.all(NODES):
            server.objects.add_node("w-prod-1", ADDRESSES["w-prod-1"], ready=False)
        if event.action.key == "settle w-prod-1" and "not Ready" in event.text:
            site.interrupt.request()
            site.interrupt.request()

    site.listen = never_ready
    report = site.replace("w-prod-1", "w-prod-2", **SIZE)
    by_key = {outcome.action.key: outcome.state for outcome in report.outcomes}
    assert by_key["settle w-prod-1"] is State.ABANDONED
    assert by_key["cordon w-prod-2"] is State.SKIPPED


def test_a_node_must_stay_ready(site: Site, server: ControlPlaneServer) -> None:
    report = site.replace("w-prod-1", options=Options(rolling=Rolling(burn_in=0.3)), **SIZE)
    settle = next(outcome for outcome in report.outcomes if outcome.action.verb == "settle")
    assert settle.seconds >= 0.3


def test_what_would_be_lost_is_refused_before_anything_is_touched(site: Site, server: ControlPlaneServer) -> None:
    server.objects.workloads.run("tool", "w-prod-1")
    with pytest.raises(ConfigError, match="nothing starts again elsewhere: default/tool"):
        site.replace("w-prod-1", **SIZE)
    assert "spec" not in server.objects.all(NODES)["w-prod-1"]


def test_time_passes_between_turns(site: Site, server: ControlPlaneServer) -> None:
    report = site.replace("w-prod-1", "w-prod-2", options=Options(rolling=Rolling(pause=0.3)), **SIZE)
    (pause,) = (outcome for outcome in report.outcomes if outcome.action.verb == "pause")
    assert (pause.action.subject, pause.state, pause.seconds >= 0.3) == ("w-prod-2", State.DONE, True)
    assert any(event.action.verb == "pause" and event.text.endswith(" s more") for event in site.events)


def test_masters_that_do_not_answer_while_a_node_is_drained_are_asked_again(site: Site, server: ControlPlaneServer) -> None:
    server.objects.workloads.run("web-0", "w-prod-1", controller="ReplicaSet")

    def fail_once(event: Event) -> None:
        join(site, server, event)
        if (event.action.verb, event.state) == ("cordon", State.DONE):
            server.faults.append(Fault(status=500))

    site.listen = fail_once
    done(site.replace("w-prod-1", **SIZE))
    assert "told to fail" in " ".join(event.text for event in site.events if event.action.verb == "drain")


def test_pods_that_stay_keep_the_machine(site: Site, server: ControlPlaneServer) -> None:
    server.objects.workloads.run("tool", "w-prod-1", lingers=True, controller="ReplicaSet")
    site.listen = lambda event: None
    report = site.replace("w-prod-1", options=Options(draining=Draining(seconds=0.2)), **SIZE)
    assert {outcome.state for outcome in report.outcomes} == {State.DONE, State.FAILED, State.SKIPPED}
    assert "w-prod-1" in site.world.vms


@pytest.mark.parametrize(
    ("until", "told"),
    [
        ("drain", "cordoned to be replaced, no new pods begin there; still there: default/web-0 to end"),
        ("destroy", "its machine is gone, to be replaced; the cluster counts its node still"),
    ],
)
def test_a_node_that_is_about_to_be_replaced_is_told_though_no_run_lives(
    site: Site, server: ControlPlaneServer, until: str, told: str
) -> None:
    server.objects.workloads.run("web-0", "w-prod-2", controller="ReplicaSet", lingers=until == "drain")

    def break_off(event: Event) -> None:
        if until != "drain":
            join(site, server, event)
        if event.action.verb == until and (event.state is State.DONE or "default/web-0" in event.text):
            site.interrupt.request()
            site.interrupt.request()

    site.listen = break_off
    assert site.replace("w-prod-2", **SIZE).interrupted
    assert {row.name: row.text for row in site.status(**SIZE).nodes if row.text} == {"w-prod-2": told}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", [State.RUNNING, State.DONE])
def test_broken_off_anywhere_and_run_again_it_ends_the_same(
    site: Site, server: ControlPlaneServer, step: str, state: State
) -> None:
    before = uid(server, "w-prod-2")

    def break_off(event: Event) -> None:
        join(site, server, event)
        if (event.action.key, event.state) == (f"{step} w-prod-2", state):
            site.interrupt.request()
            site.interrupt.request()

    site.listen = break_off
    site.replace("w-prod-2", **SIZE)
    site.interrupt, site.listen = Interrupt(), lambda event: join(site, server, event)
    done(site.replace("w-prod-2", **SIZE))
    assert uid(server, "w-prod-2") != before
    assert "spec" not in server.objects.all(NODES)["w-prod-2"], "it is cordoned"
    assert set(site.world.vms) == {*ADDRESSES, "consul-prod"}
    assert set(server.objects.all(NODES)) == set(ADDRESSES)


def test_a_node_that_is_made_anew_before_takes_the_pods_of_the_next_one(site: Site, server: ControlPlaneServer) -> None:
    """Those of a single worker beside a tainted master would never go, as its budget keeps the last one."""
    server.objects.all(NODES)["m-prod-1"]["spec"] = {"taints": [{"key": "dedicated", "effect": "NoSchedule"}]}
    for name in ("w-prod-1", "w-prod-3"):
        server.objects.delete(NODES, name)
        del site.world.vms[name]
    pods = server.objects.workloads
    for number in range(2):
        pods.run(f"web-{number}", "w-prod-2", controller="ReplicaSet", labels={"app": "web"})
    pods.guard("web", {"app": "web"}, minimum=1)
    with pytest.raises(ConfigError, match="w-prod-2 can never be emptied"):
        site.replace("w-prod-2", **SIZE)
    assert done(site.replace("w-prod-1", "w-prod-2", **SIZE))
    assert pods.evicted[0] == "web-0"
