"""A node is emptied before it is taken away, as the cluster's API lets its pods go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from servers.cluster_objects import NODES
from servers.control_plane import ControlPlaneServer, Fault
from servers.workloads import Workloads

from kube_provision_core.cluster.api import ControlPlane
from kube_provision_core.cluster.cordon import CORDONED, Purpose
from kube_provision_core.cluster.drain import Drain
from kube_provision_core.folder.pki import Pki

FIRST = "127.62.1.1"
DNS = {"k8s-app": "kube-dns"}


@pytest.fixture
def server(pki: Pki) -> Iterator[ControlPlaneServer]:
    with ControlPlaneServer(pki, FIRST) as server:
        server.objects.add_node("m-prod-1", FIRST, master=True)
        for index in (1, 2, 3):
            server.objects.add_node(f"w-prod-{index}", f"127.62.1.1{index}")
        yield server


@pytest.fixture
def pods(server: ControlPlaneServer) -> Workloads:
    return server.objects.workloads


@pytest.fixture
def api(pki: Pki, server: ControlPlaneServer) -> Iterator[ControlPlane]:
    with ControlPlane([server.address], pki) as api:
        yield api


@pytest.fixture
def drain(api: ControlPlane) -> Callable[..., Drain]:
    return lambda node="w-prod-1", **more: Drain(api.workloads, node, **more)


def web(pods: Workloads, name: str, node: str = "w-prod-1", **more: Any) -> None:
    pods.run(name, node, controller="ReplicaSet", labels={"app": "web"}, **more)


def coredns(pods: Workloads, name: str, node: str, *, wanted: int = 2, **more: Any) -> None:
    pods.deployments["coredns"] = (DNS, wanted)
    pods.run(name, node, namespace="kube-system", controller="ReplicaSet", labels=DNS, **more)


def objections(drain: Drain) -> list[str]:
    return list(drain.objections(drain.workloads.places()))


def drained(drain: Drain, pods: Workloads) -> list[str]:
    """What every step has waited for, until nothing was left."""
    waits: list[str] = []
    while wait := drain.step():
        waits.append(wait)
        assert len(waits) < 20, waits
        pods.settle()
    return waits


def test_nothing_begins_any_more_on_a_node_that_is_cordoned(api: ControlPlane, server: ControlPlaneServer) -> None:
    for _ in range(2):
        api.workloads.cordon("w-prod-1", Purpose.REMOVED)
    assert server.objects.all(NODES)["w-prod-1"]["spec"]["unschedulable"] is True
    assert [node.name for node in api.nodes() if not node.schedulable] == ["w-prod-1"]
    api.workloads.cordon("w-prod-9", Purpose.REMOVED)


def test_pods_begin_again_where_we_had_cordoned(api: ControlPlane, server: ControlPlaneServer) -> None:
    api.workloads.cordon("w-prod-1", Purpose.REMOVED)
    assert [node.name for node in api.nodes() if node.cordoned] == ["w-prod-1"]
    for _ in range(2):
        assert api.workloads.uncordon("w-prod-1") is True
    node = server.objects.all(NODES)["w-prod-1"]
    assert (node["spec"], node["metadata"]["annotations"]) == ({}, {})
    assert api.workloads.uncordon("w-prod-9") is True


def test_what_we_have_cordoned_a_node_for_is_told_by_the_node(api: ControlPlane, server: ControlPlaneServer) -> None:
    """Of who came last; and where nobody has written it, as earlier versions did not, or something else, nothing is told."""
    for purpose in Purpose:
        api.workloads.cordon("w-prod-1", purpose)
        assert [node.purpose for node in api.nodes() if node.cordoned] == [purpose]
    server.objects.all(NODES)["w-prod-1"]["metadata"]["annotations"][CORDONED] = "true"
    assert [node.purpose for node in api.nodes() if node.cordoned] == [None]


def test_a_node_that_its_kubelet_changes_in_the_same_moment_is_cordoned_all_the_same(
    api: ControlPlane, server: ControlPlaneServer
) -> None:
    server.faults.extend([Fault(), Fault(status=409), Fault(status=409)])
    api.workloads.cordon("w-prod-1", Purpose.REMOVED)
    assert [node.name for node in api.nodes() if node.cordoned] == ["w-prod-1"]


def test_what_somebody_else_has_cordoned_stays_so(api: ControlPlane, server: ControlPlaneServer) -> None:
    server.objects.all(NODES)["w-prod-1"]["spec"] = {"unschedulable": True}
    api.workloads.cordon("w-prod-1", Purpose.REMOVED)
    assert not any(node.cordoned for node in api.nodes())
    assert api.workloads.uncordon("w-prod-1") is False
    assert server.objects.all(NODES)["w-prod-1"]["spec"] == {"unschedulable": True}


def test_a_node_that_the_cluster_does_not_know_is_empty(drain: Callable[..., Drain]) -> None:
    assert drain("w-prod-9").step() == ""


def test_pods_with_a_controller_go_and_are_waited_for(drain: Callable[..., Drain], pods: Workloads) -> None:
    web(pods, "web-0", lingers=True)
    web(pods, "web-1", "w-prod-2")
    assert drained(drain(), pods) == ["default/web-0 to end"]
    assert pods.on("w-prod-1") == set()
    assert pods.evicted == ["web-0"]


def test_what_belongs_to_the_node_stays(drain: Callable[..., Drain], pods: Workloads) -> None:
    pods.run("network", "w-prod-1", namespace="kube-system", controller="DaemonSet", empty_dir=True)
    pods.run("proxy", "w-prod-1", namespace="kube-system", mirror=True)
    pods.run("job", "w-prod-1", phase="Succeeded", ready=False)
    assert objections(drain()) == []
    assert drain().step() == ""
    assert pods.evicted == []


def test_a_budget_is_waited_for_by_name(drain: Callable[..., Drain], pods: Workloads) -> None:
    pods.guard("web", {"app": "web"}, minimum=2)
    for index in range(3):
        web(pods, f"web-{index}")
    waits = drained(drain(), pods)
    refusal = "(The disruption budget web needs 2 healthy pods and has 2 currently)"
    assert waits[0] == f"default/web-0 to end, default/web-1 {refusal}, default/web-2 {refusal}"
    assert len(waits) == 3
    assert pods.on("w-prod-1") == set()


def test_of_many_pods_a_few_are_named(drain: Callable[..., Drain], pods: Workloads) -> None:
    for index in range(5):
        web(pods, f"web-{index}", lingers=True)
    assert drain().step() == "default/web-0 to end, default/web-1 to end, default/web-2 to end and 2 more"


def test_two_budgets_for_one_pod_are_told_as_the_cluster_tells_them(drain: Callable[..., Drain], pods: Workloads) -> None:
    web(pods, "web-0")
    pods.guard("web", {"app": "web"}, minimum=0)
    pods.guard("too", {"app": "web"}, minimum=0)
    assert "more than one PodDisruptionBudget" in drain().step()


def test_volumes_are_waited_for_once_the_pods_are_gone(drain: Callable[..., Drain], pods: Workloads) -> None:
    web(pods, "web-0")
    pods.attachments = {"pvc-1": "w-prod-1", "pvc-2": "w-prod-2"}
    assert drain().step() == "default/web-0 to end"
    pods.settle()
    assert drain().step() == "volumes to be detached: pvc-1"
    pods.attachments["pvc-1"] = "w-prod-2"
    assert drain().step() == ""


# --- what would be lost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "loss"),
    [
        ({}, "pods that nothing starts again elsewhere: default/tool"),
        ({"controller": "ReplicaSet", "empty_dir": True}, "pods whose emptyDir is lost with them: default/tool"),
    ],
)
def test_pods_that_would_be_lost_are_evicted_by_force_alone(
    drain: Callable[..., Drain], pods: Workloads, more: dict[str, Any], loss: str
) -> None:
    pods.run("tool", "w-prod-1", **more)
    assert objections(drain()) == [f"w-prod-1 runs {loss} (--force evicts them)"]
    assert loss in drain().step()
    assert pods.evicted == []
    assert objections(drain(force=True)) == []
    drained(drain(force=True), pods)
    assert pods.evicted == ["tool"]


def test_a_node_that_the_cluster_hears_no_more_is_not_waited_for(
    drain: Callable[..., Drain], pods: Workloads, server: ControlPlaneServer
) -> None:
    web(pods, "web-0")
    server.objects.all(NODES)["w-prod-1"]["status"]["conditions"][0]["status"] = "Unknown"
    assert drain().step() == ""
    assert pods.evicted == []


def test_a_budget_that_lets_nothing_go_is_told_beforehand(drain: Callable[..., Drain], pods: Workloads) -> None:
    web(pods, "web-0")
    web(pods, "web-1", "w-prod-2")
    pods.guard("web", {"app": "web"}, minimum=2)
    (objection,) = objections(drain())
    assert objection.startswith(
        "default/web-0 can never be evicted: The disruption budget web needs 2 healthy pods and has 2 currently"
    )
    assert pods.evicted == []


def test_a_budget_that_is_met_only_just_now_is_none_to_be_told(drain: Callable[..., Drain], pods: Workloads) -> None:
    """Its third pod is still to begin: it will let one go."""
    for index in range(3):
        web(pods, f"web-{index}", ready=index != 2)
    pods.guard("web", {"app": "web"}, minimum=2)
    assert objections(drain()) == []


def test_an_unyielding_budget_of_other_pods_is_none_to_be_told(drain: Callable[..., Drain], pods: Workloads) -> None:
    web(pods, "web-0")
    pods.run("db-0", "w-prod-2", controller="StatefulSet", labels={"app": "db"})
    pods.guard("db", {"app": "db"}, minimum=1)
    assert objections(drain()) == []


# --- where they would go -------------------------------------------------------------------------------------------

TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
LONELY = (
    "w-prod-1 can never be emptied: no other node takes default/web-0, default/web-1 (m-prod-1 has the taint "
    "node-role.kubernetes.io/control-plane{more}), and the disruption budget web lets no more than 1 be away. "
    "Add a worker, or end them by --no-drain"
)


@pytest.fixture
def lonely(server: ControlPlaneServer, pods: Workloads) -> ControlPlaneServer:
    """One master, which takes no pods, one worker, and two pods of which one has to be there at any time."""
    for name in ("w-prod-2", "w-prod-3"):
        server.objects.delete(NODES, name)
    server.objects.all(NODES)["m-prod-1"]["spec"] = {"taints": [TAINT]}
    for index in range(2):
        web(pods, f"web-{index}")
    pods.guard("web", {"app": "web"}, minimum=1)
    return server


@pytest.mark.usefixtures("lonely")
def test_pods_that_a_budget_keeps_and_no_other_node_takes_are_told_beforehand(
    drain: Callable[..., Drain], pods: Workloads
) -> None:
    assert objections(drain()) == [LONELY.format(more="")]
    assert pods.evicted == []


@pytest.mark.usefixtures("lonely")
def test_what_a_drain_that_was_broken_off_has_evicted_counts_as_well(drain: Callable[..., Drain], pods: Workloads) -> None:
    pods.pods[0].node, pods.pods[0].ready = "", False
    assert objections(drain()) == [LONELY.format(more="")]


@pytest.mark.parametrize(
    "tolerations",
    [
        ({"operator": "Exists"},),
        ({"key": TAINT["key"], "operator": "Exists"},),
        ({"key": TAINT["key"], "effect": "NoSchedule"},),
        ({"key": TAINT["key"], "operator": "Equal", "value": "", "effect": "NoSchedule"},),
    ],
)
def test_pods_that_the_other_node_takes_are_let_go(
    drain: Callable[..., Drain], lonely: ControlPlaneServer, tolerations: tuple[dict[str, str], ...]
) -> None:
    for pod in lonely.objects.workloads.pods:
        pod.tolerations = tolerations
    assert objections(drain()) == []


@pytest.mark.parametrize(
    "tolerations",
    [
        ({"key": "dedicated", "operator": "Exists"},),
        ({"key": TAINT["key"], "effect": "NoExecute"},),
        ({"key": TAINT["key"], "value": "else"},),
    ],
)
def test_what_is_tolerated_besides_is_no_help(
    drain: Callable[..., Drain], lonely: ControlPlaneServer, tolerations: tuple[dict[str, str], ...]
) -> None:
    for pod in lonely.objects.workloads.pods:
        pod.tolerations = tolerations
    assert objections(drain()) == [LONELY.format(more="")]


@pytest.mark.parametrize(
    ("spec", "more"),
    [
        ({}, None),
        ({"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]}, None),
        ({"taints": [{"key": "soft", "effect": "PreferNoSchedule"}]}, None),
        ({"taints": [{"key": "dedicated", "value": "db", "effect": "NoExecute"}]}, ", w-prod-2 has the taint dedicated"),
        ({"unschedulable": True}, ", w-prod-2 is cordoned"),
    ],
)
def test_another_worker_takes_them_unless_it_keeps_them_out_for_good(
    drain: Callable[..., Drain], lonely: ControlPlaneServer, spec: dict[str, Any], more: str | None
) -> None:
    lonely.objects.add_node("w-prod-2", "127.62.1.12")
    lonely.objects.all(NODES)["w-prod-2"]["spec"] = spec
    assert objections(drain()) == ([] if more is None else [LONELY.format(more=more)])


def test_a_worker_that_we_have_cordoned_takes_them_later(
    drain: Callable[..., Drain], lonely: ControlPlaneServer, api: ControlPlane
) -> None:
    lonely.objects.add_node("w-prod-2", "127.62.1.12")
    api.workloads.cordon("w-prod-2", Purpose.REMOVED)
    assert objections(drain()) == []


def test_pods_that_want_a_node_of_another_kind_find_none(drain: Callable[..., Drain], lonely: ControlPlaneServer) -> None:
    lonely.objects.add_node("w-prod-2", "127.62.1.12")
    for pod in lonely.objects.workloads.pods:
        pod.wanted_labels = {"disk": "ssd"}
    assert objections(drain()) == [LONELY.format(more=", w-prod-2 lacks the label disk")]
    lonely.objects.all(NODES)["w-prod-2"]["metadata"]["labels"]["disk"] = "ssd"
    assert objections(drain()) == []


def test_where_no_budget_keeps_them_they_wait_for_the_next_node(
    drain: Callable[..., Drain], lonely: ControlPlaneServer
) -> None:
    lonely.objects.workloads.budgets.clear()
    assert objections(drain()) == []


def test_the_last_replicas_of_coredns_are_kept_as_by_a_budget(
    drain: Callable[..., Drain], lonely: ControlPlaneServer
) -> None:
    pods = lonely.objects.workloads
    pods.clear()
    coredns(pods, "coredns-a", "w-prod-1")
    coredns(pods, "coredns-b", "w-prod-1")
    (objection,) = objections(drain())
    assert "no other node takes kube-system/coredns-a, kube-system/coredns-b" in objection
    for pod in pods.pods:
        pod.tolerations = ({"key": TAINT["key"], "effect": "NoSchedule"},)
    assert objections(drain()) == []


# --- names are resolved meanwhile ----------------------------------------------------------------------------------


def test_the_last_replicas_of_coredns_go_one_after_another(drain: Callable[..., Drain], pods: Workloads) -> None:
    coredns(pods, "coredns-a", "m-prod-1")
    coredns(pods, "coredns-b", "m-prod-1")
    leaving = drain("m-prod-1")
    assert leaving.step() == (
        "kube-system/coredns-a to end, kube-system/coredns-b (until another replica of CoreDNS is ready elsewhere)"
    )
    assert leaving.step() == "kube-system/coredns-b (until another replica of CoreDNS is ready elsewhere)"
    pods.settle()
    assert leaving.step() == "kube-system/coredns-b to end"
    assert leaving.step() == ""


def test_a_replica_goes_at_once_where_another_one_answers(drain: Callable[..., Drain], pods: Workloads) -> None:
    coredns(pods, "coredns-a", "m-prod-1")
    coredns(pods, "coredns-b", "w-prod-2")
    assert drain("m-prod-1").step() == "kube-system/coredns-a to end"


def test_a_replica_whose_other_is_yet_to_be_made_anew_waits_for_it(drain: Callable[..., Drain], pods: Workloads) -> None:
    """The one that was evicted is gone, and its successor is not there yet."""
    coredns(pods, "coredns-b", "m-prod-1")
    assert drain("m-prod-1").step() == ("kube-system/coredns-b (until another replica of CoreDNS is ready elsewhere)")
    assert pods.evicted == []


@pytest.mark.parametrize("ready", [True, False])
def test_a_single_replica_is_nothing_to_wait_for(drain: Callable[..., Drain], pods: Workloads, ready: bool) -> None:
    coredns(pods, "coredns-a", "m-prod-1", ready=ready, wanted=1)
    drained(drain("m-prod-1"), pods)
    assert pods.evicted == ["coredns-a"]


def test_replicas_that_do_not_answer_keep_nobody(drain: Callable[..., Drain], pods: Workloads) -> None:
    coredns(pods, "coredns-a", "m-prod-1", ready=False)
    coredns(pods, "coredns-b", "m-prod-1", ready=False)
    drain("m-prod-1").step()
    assert pods.evicted == ["coredns-a", "coredns-b"]
