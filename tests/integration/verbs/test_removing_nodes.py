"""`destroy --node` in a cluster that lives: what is asked of whom before a machine goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.site import Site
from servers.cluster_objects import NODES
from servers.control_plane import ControlPlaneServer, Fault
from servers.etcd import EtcdServers

from kube_provision_core.cluster.workloads import PODS
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import ConfigError, ControlPlaneError
from kube_provision_core.contract.machines import Discovery
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.executor import Event, State
from kube_provision_core.engine.wish import Draining
from kube_provision_core.verbs.why import explain

MASTERS = {"m-prod-1": "127.64.9.1", "m-prod-2": "127.64.9.2", "m-prod-3": "127.64.9.3"}
SIZE = {"masters": 3, "workers": 1}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.world.addresses = {**MASTERS, "w-prod-1": "127.64.9.4", "consul-prod": "127.64.9.5"}
    site.provision(**SIZE)
    site.registry.record = Discovery(initialised=True)
    return site


def api(site: Site) -> ControlPlaneServer:
    """The first master's API server, which knows all of the cluster's nodes."""
    assert site.folder
    server = ControlPlaneServer(site.folder.pki, MASTERS["m-prod-1"])
    for name, address in MASTERS.items():
        server.objects.add_node(name, address, master=True)
    server.objects.add_node("w-prod-1", "127.64.9.4")
    return server


def test_a_worker_goes_while_etcd_is_slow_and_no_master_is_ready(site: Site) -> None:
    """Nobody listens where etcd's members are: they are not asked."""
    with api(site) as server:
        server.ready = False
        server.faults.append(Fault(delay=10))
        site.destroy("w-prod-1", **SIZE)
        assert set(server.objects.all(NODES)) == set(MASTERS)
    assert "w-prod-1" not in site.world.vms


def test_a_worker_whose_machine_is_gone_already_goes_likewise(site: Site) -> None:
    del site.world.vms["w-prod-1"]
    with api(site) as server:
        server.ready = False
        site.destroy("w-prod-1", **SIZE)
        assert set(server.objects.all(NODES)) == set(MASTERS)


def test_a_master_goes_only_where_etcd_lets_it_go(site: Site) -> None:
    with api(site), pytest.raises(ControlPlaneError):
        site.destroy("m-prod-2", **SIZE)
    assert "m-prod-2" in site.world.vms
    assert site.folder
    with api(site) as server, EtcdServers(site.folder.pki, MASTERS) as etcd:
        etcd.wait_until_healthy(*MASTERS)
        site.destroy("m-prod-2", **SIZE)
        assert "m-prod-2" not in server.objects.all(NODES)
    assert "m-prod-2" not in site.world.vms


def test_a_learner_that_never_started_goes_before_a_master_is_made_anew(site: Site) -> None:
    """Its machine was lost between its announcement and its start, and etcd waits for no other one meanwhile."""
    assert site.folder
    others = {name: MASTERS[name] for name in ("m-prod-1", "m-prod-2")}
    del site.world.vms["m-prod-3"]
    with api(site) as server, EtcdServers(site.folder.pki, others) as etcd:
        etcd.announce_learner(MASTERS["m-prod-3"])
        report = site.provision(**SIZE)
        assert site.provision(**SIZE).exit_code == 0
        removed = [outcome.text for outcome in report.outcomes if outcome.action.verb == "remove-member"]
        uploads = [name for name in server.objects.all("/api/v1/namespaces/kube-system/secrets") if name == "kubeadm-certs"]
    assert (removed, uploads) == (["no longer in etcd"], ["kubeadm-certs"])
    assert "m-prod-3" in site.world.vms


# --- drained first -------------------------------------------------------------------------------------------------


@pytest.fixture
def server(site: Site) -> Iterator[ControlPlaneServer]:
    with api(site) as server:
        yield server


def test_a_worker_is_emptied_before_its_machine_goes(site: Site, server: ControlPlaneServer) -> None:
    pods = server.objects.workloads
    pods.run("web-0", "w-prod-1", controller="ReplicaSet", lingers=True)
    site.listen = lambda event: pods.settle() if "default/web-0" in event.text else None
    report = site.destroy("w-prod-1", **SIZE)
    assert pods.evicted == ["web-0"]
    assert [(outcome.action.verb, outcome.text) for outcome in report.outcomes] == [
        ("cordon", "no more pods begin there"),
        ("drain", "its pods have gone"),
        ("destroy", "gone"),
        ("delete-node", "no longer in the cluster"),
    ]
    assert "waits for default/web-0 to end (until " in " ".join(event.text for event in site.events)


def test_nothing_is_destroyed_where_pods_stay_for_too_long(site: Site, server: ControlPlaneServer) -> None:
    pods = server.objects.workloads
    pods.run("web-0", "w-prod-1", controller="ReplicaSet", lingers=True)
    report = site.destroy("w-prod-1", draining=Draining(seconds=1), **SIZE)
    drain = next(outcome for outcome in report.outcomes if outcome.action.verb == "drain")
    assert drain.state is State.FAILED
    assert drain.text.startswith("not drained in 1 s: default/web-0 to end. w-prod-1 stays cordoned")
    assert "w-prod-1" in site.world.vms
    assert "w-prod-1" in server.objects.all(NODES)
    site.destroy("w-prod-1", draining=None, **SIZE)
    assert "w-prod-1" not in site.world.vms


def test_a_node_that_is_being_drained_is_told_with_what_it_waits_for(site: Site, server: ControlPlaneServer) -> None:
    site.world.statuses = dict.fromkeys((*MASTERS, "w-prod-1"), NodeStatus(Stage.FINISH, "done"))
    pods = server.objects.workloads
    pods.run("web-0", "w-prod-1", controller="ReplicaSet", labels={"app": "web"})
    pods.run("web-1", "m-prod-2", controller="ReplicaSet", labels={"app": "web"})
    pods.guard("web", {"app": "web"}, minimum=1)
    assert told(site, "w-prod-1") == ("", "it is well: it has finished its boot, and Kubernetes calls it Ready")
    pods.pods[1].ready = False
    site.destroy("w-prod-1", draining=Draining(seconds=0.1), **SIZE)
    so_far = (
        "cordoned to be removed, no new pods begin there; still there: default/web-0 "
        "(The disruption budget web needs 1 healthy pods and has 1 currently)"
    )
    assert told(site, "w-prod-1") == (so_far, f"it has finished its boot, and is {so_far}")
    pods.settle()
    assert told(site, "w-prod-1")[0] == "cordoned to be removed, no new pods begin there; still there: default/web-0"
    assert pods.evicted == [], "who only looks evicts nobody"
    pods.pods.clear()
    assert told(site, "w-prod-1")[0] == "cordoned to be removed, no new pods begin there; none is left that would move"


def told(site: Site, name: str) -> tuple[str, str]:
    """What `status` and `why` say of it."""
    row = next(row for row in site.status(**SIZE).nodes if row.name == name)
    with site.session(**SIZE) as session:
        return row.text, explain(session, name).verdict


@pytest.mark.parametrize(
    ("pods", "fails", "told"),
    [(0, False, "none is left that would move"), (1, False, "still there: default/web-0"), (1, True, "still there: ")],
)
def test_how_far_a_node_is_emptied_is_told_by_status(
    site: Site, server: ControlPlaneServer, pods: int, fails: bool, told: str
) -> None:
    server.objects.all(NODES)["w-prod-1"]["spec"] = {"unschedulable": True}
    for number in range(pods):
        server.objects.workloads.run(f"web-{number}", "w-prod-1", controller="ReplicaSet")
    site.world.statuses["w-prod-1"] = NodeStatus(Stage.FINISH, "done")
    server.faults.extend([Fault(status=500, path=PODS)] if fails else [])
    (row,) = (row for row in site.status(**SIZE).nodes if row.name == "w-prod-1")
    assert row.text.startswith(f"cordoned, no new pods begin there; {told}")
    assert ("told to fail" in row.text) is fails


def test_what_would_be_lost_is_refused_before_anything_is_touched(site: Site, server: ControlPlaneServer) -> None:
    server.objects.workloads.run("tool", "w-prod-1")
    with pytest.raises(ConfigError, match="nothing starts again elsewhere: default/tool"):
        site.destroy("w-prod-1", **SIZE)
    assert "spec" not in server.objects.all(NODES)["w-prod-1"]
    site.destroy("w-prod-1", draining=Draining(force=True), **SIZE)
    assert server.objects.workloads.evicted == ["tool"]
    assert "w-prod-1" not in site.world.vms


def test_a_node_that_falls_silent_while_it_is_drained_is_waited_for_no_longer(
    site: Site, server: ControlPlaneServer
) -> None:
    server.objects.workloads.run("web-0", "w-prod-1", controller="StatefulSet", lingers=True)

    def fall_silent(event: Event) -> None:
        if "default/web-0" in event.text:
            server.objects.all(NODES)["w-prod-1"]["status"]["conditions"][0]["status"] = "Unknown"

    site.listen = fall_silent
    site.destroy("w-prod-1", **SIZE)
    assert "w-prod-1" not in site.world.vms
    assert "w-prod-1" not in server.objects.all(NODES)


def test_pods_that_find_no_other_node_and_are_kept_by_a_budget_are_refused_before_anything_is_touched(
    site: Site, server: ControlPlaneServer
) -> None:
    for name in MASTERS:
        server.objects.all(NODES)[name]["spec"] = {"taints": [{"key": "dedicated", "effect": "NoSchedule"}]}
    pods = server.objects.workloads
    for number in range(2):
        pods.run(f"web-{number}", "w-prod-1", controller="ReplicaSet", labels={"app": "web"})
    pods.guard("web", {"app": "web"}, minimum=1)
    with pytest.raises(ConfigError, match="w-prod-1 can never be emptied: no other node takes default/web-0, default/web-1"):
        site.destroy("w-prod-1", **SIZE)
    assert "spec" not in server.objects.all(NODES)["w-prod-1"]
    assert pods.evicted == []


def test_nodes_that_go_as_well_take_nobodys_pods(site: Site, server: ControlPlaneServer) -> None:
    for name in ("m-prod-1", "m-prod-2"):
        server.objects.all(NODES)[name]["spec"] = {"taints": [{"key": "dedicated", "effect": "NoSchedule"}]}
    pods = server.objects.workloads
    for number in range(2):
        pods.run(f"web-{number}", "w-prod-1", controller="ReplicaSet", labels={"app": "web"})
    pods.guard("web", {"app": "web"}, minimum=1)
    assert site.folder
    with EtcdServers(site.folder.pki, MASTERS) as etcd:
        etcd.wait_until_healthy(*MASTERS)
        with pytest.raises(ConfigError, match="w-prod-1 can never be emptied"):
            site.destroy("w-prod-1", "m-prod-3", **SIZE)
    site.listen = lambda event: pods.settle()
    site.destroy("w-prod-1", **SIZE)
    assert pods.evicted == ["web-0", "web-1"]
