"""The planner of `destroy`: only stamped machines, in an order that leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kube_provision_core.control_plane import ClusterNode, Living
from kube_provision_core.destroy import plan_cluster, plan_nodes
from kube_provision_core.errors import ConfigError
from kube_provision_core.model import Cluster, Discovery, Power, Role, Stamp, Vm
from kube_provision_core.observe import Observation
from kube_provision_core.remedies import Remedies


def vm(name: str, role: Role, cluster: str = "prod") -> Vm:
    return Vm(name, name, Power.ON, Stamp(cluster, "id-1", role, "spec"), (f"10.0.0.{len(name)}",))


NAMES = frozenset({"m-prod-1", "m-prod-2", "w-prod-1", "consul-prod"})
REMEDIES = Remedies("prod")
CLUSTER = Cluster("prod", "id-1", "1.36", NAMES, discovery_address="10.0.0.11")
VMS = (
    vm("consul-prod", Role.DISCOVERY),
    vm("m-prod-1", Role.MASTER),
    vm("m-prod-2", Role.MASTER),
    vm("w-prod-1", Role.WORKER),
)


def test_machines_go_first_then_their_server_with_its_record_then_the_folder() -> None:
    plan = plan_cluster(Observation(CLUSTER, VMS, Discovery(True)), folder_saved=True)
    assert [action.key for action in plan.actions] == [
        "destroy m-prod-1",
        "destroy m-prod-2",
        "destroy w-prod-1",
        "destroy consul-prod",
        "archive-folder prod",
    ]
    by_key = {action.key: action for action in plan.actions}
    assert all(action.reason for action in plan.actions)
    assert "destroy w-prod-1" in by_key["destroy consul-prod"].after
    assert "destroy consul-prod" in by_key["archive-folder prod"].after


def test_an_existing_discovery_service_forgets_the_cluster_once_its_machines_are_gone() -> None:
    existing = replace(CLUSTER, discovery_address="10.200.200.1")
    plan = plan_cluster(Observation(existing, VMS[1:], Discovery(True)), folder_saved=True)
    by_key = {action.key: action for action in plan.actions}
    assert "destroy w-prod-1" in by_key["forget prod"].after
    assert "forget prod" in by_key["archive-folder prod"].after
    assert all(action.reason for action in plan.actions)


def test_machines_that_are_not_the_clusters_are_left_alone() -> None:
    strangers = (Vm("w-prod-1", "x", Power.ON, None), vm("m-prod-1", Role.MASTER, cluster="other"))
    assert plan_cluster(Observation(CLUSTER, strangers), folder_saved=False).actions == ()


def test_a_cluster_that_is_gone_leaves_nothing_to_do() -> None:
    assert plan_cluster(Observation(CLUSTER, ()), folder_saved=False).actions == ()


def test_what_could_not_be_forgotten_is_said() -> None:
    seen = Observation(CLUSTER, VMS[1:], discovery_error="10.0.0.1:8500 refuses")
    assert plan_cluster(seen, folder_saved=False).notes == ("not forgotten: 10.0.0.1:8500 refuses",)


def test_a_record_that_nobody_could_look_for_is_spoken_of() -> None:
    (note,) = plan_cluster(Observation(replace(CLUSTER, discovery_address=None), VMS[1:]), folder_saved=True).notes
    assert "will not forget it until destroy is run with its name (--consul-ip)" in note
    assert plan_cluster(Observation(CLUSTER, VMS), folder_saved=True).notes == ()
    assert plan_cluster(Observation(CLUSTER), folder_saved=False).notes == ()


def test_a_node_leaves_the_living_cluster_before_its_machine_goes() -> None:
    living = Living((ClusterNode("w-prod-1", True, (), "10.0.0.5"),), ())
    plan = plan_nodes(Observation(CLUSTER, VMS, Discovery(True)), ["w-prod-1"], living, REMEDIES)
    assert [action.key for action in plan.actions] == ["remove-member w-prod-1", "destroy w-prod-1"]
    assert all(action.reason for action in plan.actions)
    assert plan.actions[1].after == {"remove-member w-prod-1"}


def test_a_node_whose_machine_is_gone_still_leaves_the_cluster() -> None:
    living = Living((ClusterNode("m-prod-1", False, (), "10.0.0.5"),), ())
    gone = tuple(machine for machine in VMS if machine.name != "m-prod-1")
    plan = plan_nodes(Observation(CLUSTER, gone, Discovery(True)), ["m-prod-1"], living, REMEDIES)
    assert [action.key for action in plan.actions] == ["remove-member m-prod-1"]


def test_an_unknown_node_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"w-prod-9: no such node.*m-prod-1, m-prod-2, w-prod-1"):
        plan_nodes(Observation(CLUSTER, VMS), ["w-prod-9"], Living(), REMEDIES)


def test_a_node_of_a_cluster_without_machines_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"w-prod-9: no such node in cluster prod; it has none"):
        plan_nodes(Observation(CLUSTER), ["w-prod-9"], Living(), REMEDIES)


def test_the_last_masters_go_only_with_their_cluster() -> None:
    with pytest.raises(ConfigError, match="no master left"):
        plan_nodes(Observation(CLUSTER, VMS), ["m-prod-1", "m-prod-2"], Living(), REMEDIES)
