"""Which labels a run gives to nodes, and after what."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from doubles.facts import GivenFacts

from kube_provision_core.cluster import Living
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.contract.machines import Cluster, Machine, Node, Power, Role, Stamp, Vm
from kube_provision_core.engine.facts import Known, Unknown
from kube_provision_core.engine.nodes import LabelNode
from kube_provision_core.engine.plan import AwaitBoot, AwaitMasters
from kube_provision_core.verbs.labelling import after_boot, labelled, postponed

RESTRICTED = "node-role.kubernetes.io/worker"
WORKERS = tuple(
    Node(f"w-prod-{i}", Role.WORKER, i, Machine(2, 4), Stamp("prod", "id-1", Role.WORKER, "spec")) for i in (1, 2)
)
CLUSTER = Cluster("prod", "id-1", "1.37.1", frozenset(node.name for node in WORKERS))


def facts(labels: Mapping[str, str], *living: ClusterNode, machines: int = 2, **more: Any) -> GivenFacts:
    vms = tuple(Vm(node.name, node.name, Power.ON, node.stamp) for node in WORKERS[:machines])
    told = {"nodes": Known(Living(living)), "core": lambda role: SimpleNamespace(labels=labels)}
    return GivenFacts(Observation(CLUSTER, vms, None, ""), **told | more)


def node(name: str, **labels: str) -> ClusterNode:
    return ClusterNode(name, True, (), None, labels=labels)


def given(actions: Any) -> dict[str, tuple[dict[str, str], frozenset[str]]]:
    return {action.subject: (dict(action.labels), action.after) for action in actions}


def test_a_node_is_given_what_it_lacks_and_nothing_else() -> None:
    told = facts(
        {"disk": "fast", "zone": "a"}, node("w-prod-1", disk="slow", zone="a"), node("w-prod-2", disk="fast", zone="a")
    )
    assert given(labelled(told, WORKERS, ())) == {"w-prod-1": ({"disk": "fast"}, frozenset())}


def test_one_whose_boot_is_awaited_is_given_afterwards_what_its_kubelet_may_not() -> None:
    told = facts({"disk": "fast", RESTRICTED: ""}, machines=0)
    looks = [AwaitBoot(node=WORKERS[0])]
    assert given(labelled(told, WORKERS, looks)) == {"w-prod-1": ({RESTRICTED: ""}, frozenset({"boot w-prod-1"}))}
    assert not list(after_boot(WORKERS[0], {"disk": "fast"}, looks[0]))


def test_it_is_so_once_masters_are_awaited_that_join() -> None:
    looks = [AwaitBoot(node=WORKERS[0]), AwaitMasters(cluster="prod")]
    made = labelled(facts({RESTRICTED: ""}, machines=0), WORKERS, looks)
    assert given(made)["w-prod-1"][1] == {"boot w-prod-1", "ready prod"}


def test_the_node_of_a_machine_that_is_gone_is_none() -> None:
    told = facts({RESTRICTED: ""}, node("w-prod-1"), machines=0)
    assert given(labelled(told, WORKERS, [AwaitBoot(node=WORKERS[0])]))["w-prod-1"][1] == {"boot w-prod-1"}


def test_nobody_is_asked_where_no_label_is_wished_for() -> None:
    class Deaf(GivenFacts):
        @property
        def nodes(self) -> Any:  # type: ignore[override]
            raise AssertionError("asked")

    told = Deaf(None, core=lambda role: SimpleNamespace(labels={}))
    vars(told).pop("nodes")
    assert not list(labelled(told, WORKERS, ()))


def test_a_cluster_that_does_not_answer_stops_no_run() -> None:
    told = facts({"disk": "fast"}, nodes=Unknown(ControlPlaneError("no master answers")))
    assert not list(labelled(told, WORKERS, ()))


def test_what_is_left_to_another_run_is_said() -> None:
    (line,) = postponed(facts({"disk": "fast", RESTRICTED: ""}), WORKERS)
    assert line.startswith(f"a kubelet may not give its own node {RESTRICTED}: a run with --wait does")
    assert not list(postponed(facts({"disk": "fast"}), WORKERS))
    assert not list(postponed(facts({RESTRICTED: ""}), ()))


def test_another_label_is_another_plan() -> None:
    action = LabelNode(node=WORKERS[0], labels=(("disk", "fast"),))
    assert action.details == {"labels": {"disk": "fast"}}
    assert action.mark == "~"
