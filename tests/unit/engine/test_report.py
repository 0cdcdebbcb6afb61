"""How a machine stands at the end of a run, from what was done about it."""

from __future__ import annotations

from typing import Any

import pytest

from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.machines import Cluster, Machine, Node, Power, Role, Stamp, Vm
from kube_provision_core.engine.executor import Outcome, State
from kube_provision_core.engine.nodes import RemoveMember
from kube_provision_core.engine.plan import Action, ArrangeVms, AwaitNode, CreateVm, DestroyVm, MintSecrets
from kube_provision_core.engine.report import NodeReport, Report

NODE = Node("w-prod-1", Role.WORKER, 1, Machine(2, 4), Stamp("prod", "id", Role.WORKER, "spec"))
CREATE, AWAIT = CreateVm(node=NODE), AwaitNode(node=NODE)
LEFT = "interrupted before it began"


def standing(*outcomes: tuple[Action, State, str]) -> NodeReport:
    seen = Observation(Cluster("prod", "id", "1.36", frozenset({NODE.name})))
    (node,) = Report("prod", tuple(Outcome(*outcome) for outcome in outcomes), seen).nodes
    return node


def test_a_machine_that_was_made_and_not_awaited_was_not_skipped() -> None:
    node = standing((CREATE, State.DONE, "/dc/vm/w-prod-1"), (AWAIT, State.SKIPPED, LEFT))
    assert (node.state, node.text) == (State.ABANDONED, "create is done; not awaited")
    assert node.actions == ("create",)


def test_a_machine_that_was_not_made_was_skipped() -> None:
    node = standing((CREATE, State.SKIPPED, LEFT), (AWAIT, State.SKIPPED, f"because of: {CREATE.key}"))
    assert (node.state, node.text, node.actions) == (State.SKIPPED, LEFT, ())


def test_why_a_machine_was_not_made_is_kept_though_its_predecessor_was_removed() -> None:
    member = RemoveMember(name=NODE.name)
    because = f"because of: {MintSecrets(cluster='prod', masters=False).key}"
    node = standing((member, State.DONE, ""), (CREATE, State.SKIPPED, because))
    assert (node.state, node.text) == (State.SKIPPED, because)


def test_a_machine_that_is_gone_still_has_its_role() -> None:
    gone = DestroyVm(vm=Vm(NODE.name, "id", Power.ON, NODE.stamp))
    assert standing((gone, State.DONE, "gone")).role == "worker"


def test_what_is_about_the_cluster_stands_beside_its_machines() -> None:
    arranged = Outcome(ArrangeVms(cluster="prod"), State.DONE)
    report = Report("prod", (Outcome(CREATE, State.DONE), arranged), Observation(Cluster("prod", "id", "1.36", frozenset())))
    assert (report.others, [node.name for node in report.nodes]) == ((arranged,), [NODE.name])


def report(*outcomes: Outcome, **more: Any) -> Report:
    return Report("prod", outcomes, Observation(Cluster("prod", "id", "1.36", frozenset())), **more)


PASSES, STAYS = Outcome(CREATE, State.FAILED, "no answer"), Outcome(AWAIT, State.FAILED, "no such network", retryable=False)


@pytest.mark.parametrize(
    ("ended", "retryable"),
    [
        (report(Outcome(CREATE, State.DONE)), False),
        (report(PASSES, Outcome(AWAIT, State.SKIPPED, "because of it")), True),
        (report(PASSES, STAYS), False),
        (report(Outcome(CREATE, State.SKIPPED, LEFT), interrupted=True), True),
        (report(Outcome(CREATE, State.DONE), postponed=("w-prod-2",)), True),
        (report(Outcome(CREATE, State.DONE), folder_error="no space left"), True),
    ],
)
def test_running_the_same_again_may_succeed_where_all_that_failed_may_pass(ended: Report, *, retryable: bool) -> None:
    assert ended.retryable is retryable
