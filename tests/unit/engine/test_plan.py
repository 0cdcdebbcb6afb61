"""Actions as data."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kube_provision_core.cluster.cordon import Purpose
from kube_provision_core.contract.machines import Machine, Node, Role, Stamp
from kube_provision_core.engine.nodes import CordonNode, Pause, RemoveMember
from kube_provision_core.engine.plan import Action, CheckArrangement, CreateVm, ForgetCluster, MintSecrets

NODE = Node("w-prod-1", Role.WORKER, 1, Machine(2, 4), Stamp("prod", "id-1", Role.WORKER, "spec"))


@pytest.mark.parametrize(
    ("action", "details"),
    [
        (CreateVm(node=NODE), {"spec": "spec", "may_initialise": False}),
        (CreateVm(node=NODE, version="1.36.2"), {"spec": "spec", "may_initialise": False, "version": "1.36.2"}),
        (RemoveMember(name="m-prod-1"), {"member": None}),
        (RemoveMember(name="etcd-77", member="77"), {"member": "77"}),
        (MintSecrets(cluster="prod", masters=True, renew=True), {"masters": True}),
        (ForgetCluster(cluster="prod"), {}),
        (CordonNode(name="w-prod-1", purpose=Purpose.REMOVED), {}),
        (Pause(name="w-prod-1", seconds=60.0), None),
        (CheckArrangement(cluster="prod"), None),
    ],
)
def test_what_makes_a_plan_another_one_is_told_and_what_only_looks_or_mends_is_not(
    action: Action, details: Mapping[str, object] | None
) -> None:
    assert action.details == details


def test_secrets_are_of_the_cluster_or_of_the_machine_that_gets_its_own() -> None:
    of_all = MintSecrets(cluster="prod", masters=False)
    of_one = MintSecrets(cluster="prod", masters=False, node="w-prod-1")
    assert (of_all.key, of_one.key) == ("mint prod", "mint w-prod-1")
