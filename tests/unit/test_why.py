"""What is the matter with one machine, from all that is known about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kube_provision_core.control_plane import ClusterNode, Readiness
from kube_provision_core.model import Cluster, Discovery, MasterRecord, NodeStatus, Power, Role, Stage, Stamp, Vm
from kube_provision_core.observe import Observation
from kube_provision_core.remedies import Remedies
from kube_provision_core.why import Findings, judge

CLUSTER = Cluster("prod", "an-id", "1.36", frozenset({"m-prod-1"}), discovery_address="10.0.0.5")
FINISHED = NodeStatus(Stage.FINISH, "done")
VM = Vm("m-prod-1", "id", Power.ON, Stamp("prod", "an-id", Role.MASTER, "0" * 12), ("10.0.0.7",), FINISHED)
HEALTHY = Discovery(initialised=True, masters=(MasterRecord("m-prod-1", "10.0.0.7"),))
READY = Readiness((ClusterNode("m-prod-1", True, ("control-plane",), "10.0.0.7"),), asked=True)
NOT_READY = Readiness((ClusterNode("m-prod-1", False, (), "10.0.0.7", "cni plugin not initialized"),), asked=True)


def findings(
    vm: Vm | None = VM, *, discovery: Discovery | None = HEALTHY, readiness: Readiness = READY, role: Role = Role.MASTER
) -> Findings:
    seen = Observation(CLUSTER, (vm,) if vm else (), discovery)
    return Findings("m-prod-1", role, vm, seen, True, readiness, Remedies("prod"), ("apply one",))


def test_a_healthy_machine_is_said_to_be_well() -> None:
    verdict = judge(findings())
    assert verdict.well
    assert verdict.text == "it is well: it has finished its boot, and Kubernetes calls it Ready"


@pytest.mark.parametrize(
    ("vm", "text", "advice"),
    [
        (None, "does not exist", "provision"),
        (replace(VM, power=Power.OFF), "powered off", "provision"),
        (replace(VM, power=Power.SUSPENDED), "suspended", "provision"),
        (replace(VM, status=None, addresses=()), "no address", "console"),
        (replace(VM, status=None), "told nothing", "cloud-init status"),
        (
            replace(VM, status=NodeStatus(Stage.JOIN, "failed", "exit code 1", cause="swap is on", advice="take it out")),
            "stage join has failed and is tried again: swap is on",
            "take it out",
        ),
        (
            replace(VM, status=NodeStatus(Stage.INSTALL, "failed", "exit code 1")),
            "stage install has failed and is tried again: exit code 1",
            "kube-provision destroy --name prod --node m-prod-1",
        ),
        (
            replace(
                VM, status=NodeStatus(Stage.JOIN, "running", "exit code 1", cause="its join token expired", replace=True)
            ),
            "its join token expired",
            "kube-provision destroy --name prod --node m-prod-1, then provision again",
        ),
        (
            replace(
                VM, status=NodeStatus(Stage.INSTALL, "running", "E: x", step="a/b", attempt=3, attempts=5, advice="do y")
            ),
            "install a/b, attempt 3 of 5: E: x",
            "do y",
        ),
    ],
)
def test_what_is_wrong_is_said_with_what_helps(vm: Vm | None, text: str, advice: str) -> None:
    verdict = judge(findings(vm))
    assert not verdict.well
    assert text in verdict.text
    assert advice in verdict.advice


def test_a_machine_on_its_way_is_well() -> None:
    verdict = judge(
        findings(replace(VM, status=NodeStatus(Stage.DISCOVER, "running", step="node/proxy", attempt=1, attempts=5)))
    )
    assert (verdict.text, verdict.well) == ("it is on its way: discover node/proxy", True)


def test_a_master_whose_api_server_does_not_answer() -> None:
    verdict = judge(findings(discovery=Discovery(initialised=True)))
    assert "discovery does not see its API server answer" in verdict.text


def test_a_node_that_kubernetes_does_not_call_ready_is_told_with_the_hint() -> None:
    verdict = judge(findings(readiness=NOT_READY))
    assert ("not call it Ready" in verdict.text, verdict.advice) == (True, "apply one")


def test_a_machine_that_the_cluster_has_forgotten() -> None:
    assert "does not count it as a node" in judge(findings(readiness=Readiness(asked=True))).text


def test_a_discovery_machine_is_no_node_and_well_all_the_same() -> None:
    assert judge(findings(readiness=Readiness(asked=True), role=Role.DISCOVERY)).well


def test_a_cluster_that_cannot_be_asked_makes_nobody_sick() -> None:
    verdict = judge(findings(discovery=None, readiness=Readiness(error="no master answers")))
    assert verdict.well
    assert "could not be asked" in verdict.text
