"""The planner of `provision`, as a table of situations: what is desired, what was observed, what follows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kube_provision_core.control_plane import ClusterNode, EtcdMember, Living
from kube_provision_core.desired import Desired
from kube_provision_core.errors import ConfigError, DiscoveryError
from kube_provision_core.model import (
    Cluster,
    Discovery,
    Machine,
    MasterRecord,
    Node,
    NodeStatus,
    Power,
    Role,
    Stage,
    Stamp,
    Vm,
)
from kube_provision_core.observe import Observation
from kube_provision_core.plan import Action, CreateVm, Plan
from kube_provision_core.provision import compare, is_initialised, plan
from kube_provision_core.remedies import Remedies

FINISHED = NodeStatus(Stage.FINISH, "done")


def node(name: str, role: Role = Role.MASTER) -> Node:
    return Node(name, role, int(name[-1]) if name[-1].isdigit() else 0, Machine(2, 4), Stamp("prod", "id-1", role, "spec"))


def vm(name: str, role: Role = Role.MASTER, *, carries_ca: bool = False, **more: object) -> Vm:
    stamp = Stamp("prod", "id-1", role, "spec", carries_ca)
    return replace(Vm(name, f"id of {name}", Power.ON, stamp, (f"10.0.0.{len(name)}",)), **more)  # type: ignore[arg-type]


def desire(masters: int = 3, workers: int = 2, *, server: bool = True) -> Desired:
    discovery = node("consul-prod", Role.DISCOVERY) if server else None
    nodes = [node(f"m-prod-{i + 1}") for i in range(masters)], [node(f"w-prod-{i + 1}", Role.WORKER) for i in range(workers)]
    names = {n.name for n in (*nodes[0], *nodes[1], *([discovery] if discovery else []))}
    address = None if server else "10.200.200.1"
    cluster = Cluster("prod", "id-1", "1.36", frozenset(names), discovery_address=address)
    return Desired(cluster, tuple(nodes[0]), tuple(nodes[1]), discovery, Remedies("prod"))


WHOLE = (
    vm("consul-prod", Role.DISCOVERY),
    vm("m-prod-1", carries_ca=True),
    vm("m-prod-2"),
    vm("m-prod-3"),
    vm("w-prod-1", Role.WORKER),
    vm("w-prod-2", Role.WORKER),
)
ABSENT = Discovery(initialised=False)
LIVES = Discovery(initialised=True, masters=(MasterRecord("m-prod-2", "10.0.0.2"),), cluster_id="id-1")


def without(*names: str) -> tuple[Vm, ...]:
    return tuple(machine for machine in WHOLE if machine.name not in names)


def planned(
    vms: tuple[Vm, ...] = (),
    discovery: Discovery | None = None,
    *,
    desired: Desired | None = None,
    error: str = "",
    marked: bool = False,
    living: Living | None = None,
    wait: bool = False,
) -> Plan:
    desired = desired or desire()
    seen = Observation(desired.cluster, vms, discovery, error)
    difference = compare(desired, seen)
    initialised = is_initialised(seen, marked)
    return plan(desired, seen, difference, initialised=initialised, living=living or Living(), wait=wait)


def keys(plan: Plan) -> list[str]:
    assert all(action.reason for action in plan.changes), "a change that does not say why"
    return [action.key for action in plan.changes]


def action(plan: Plan, key: str) -> Action:
    return next(action for action in plan.actions if action.key == key)


def carriers(plan: Plan) -> list[str]:
    return [a.node.name for a in plan.actions if isinstance(a, CreateVm) and a.node.stamp.carries_ca]


class TestAFreshCluster:
    def test_every_machine_is_created(self) -> None:
        assert keys(planned()) == [
            "create consul-prod",
            "create m-prod-1",
            "create m-prod-2",
            "create m-prod-3",
            "create w-prod-1",
            "create w-prod-2",
            "arrange prod",
        ]

    def test_all_machines_wait_for_the_address_of_discovery_and_for_nothing_else(self) -> None:
        plan = planned()
        assert action(plan, "await consul-prod").after == {"create consul-prod"}
        for name in ("m-prod-1", "m-prod-3", "w-prod-2"):
            assert action(plan, f"create {name}").after == {"create consul-prod", "await consul-prod"}

    def test_an_existing_discovery_service_needs_no_machine(self) -> None:
        plan = planned(discovery=ABSENT, desired=desire(server=False))
        assert keys(plan)[0] == "create m-prod-1"
        assert action(plan, "create m-prod-1").after == frozenset()

    def test_only_the_first_master_carries_the_authorities(self) -> None:
        assert carriers(planned()) == ["m-prod-1"]

    def test_waiting_awaits_and_scrubs_every_node(self) -> None:
        plan = planned(wait=True)
        assert action(plan, "scrub w-prod-2").after == {"boot w-prod-2"}
        assert action(plan, "boot w-prod-2").after == {"create w-prod-2"}

    def test_waiting_scrubs_the_discovery_machine_too_and_lets_nobody_wait_for_its_end(self) -> None:
        plan = planned(wait=True)
        assert action(plan, "scrub consul-prod").after == {"boot consul-prod"}
        assert action(plan, "create m-prod-1").after == {"create consul-prod", "await consul-prod"}

    def test_a_target_that_arranges_nothing_is_not_asked_to(self) -> None:
        seen = Observation(desire().cluster)
        plan_ = plan(desire(), seen, compare(desire(), seen), initialised=False, living=Living(), wait=False, arranges=False)
        assert "arrange prod" not in keys(plan_)


class TestADiscoveryServiceThatIsNotTheClustersOwn:
    def test_is_refused_where_the_cluster_has_a_machine_for_it(self) -> None:
        with pytest.raises(ConfigError, match=r"consul-prod: name no other service.* --node consul-prod"):
            planned(WHOLE, LIVES, desired=desire(server=False))

    def test_may_be_that_machine_under_its_address(self) -> None:
        address = WHOLE[0].address
        desired = desire(server=False)
        desired = replace(desired, cluster=replace(desired.cluster, discovery_address=address))
        assert planned(WHOLE, LIVES, desired=desired).changes == ()

    def test_may_have_been_forgotten_to_be_named(self) -> None:
        (note,) = planned(without("consul-prod"), marked=True).notes
        assert "If it was made with an existing service, stop and name that one" in note


class TestASecondRun:
    def test_that_makes_the_discovery_machine_alone_arranges_it(self) -> None:
        assert keys(planned(without("consul-prod"), marked=True)) == ["create consul-prod", "arrange prod"]

    def test_of_a_whole_cluster_changes_nothing(self) -> None:
        assert planned(WHOLE, LIVES).changes == ()

    def test_of_a_whole_cluster_makes_sure_of_its_arrangement_which_a_killed_run_may_have_left_out(self) -> None:
        assert [(action.mark, action.key) for action in planned(WHOLE, LIVES).actions] == [("=", "arrange prod")]

    def test_of_a_whole_cluster_needs_no_discovery(self) -> None:
        plan = planned(WHOLE, error="10.0.0.1:8500 refuses", marked=True)
        assert plan.changes == ()
        assert plan.notes == ("discovery could not be asked: 10.0.0.1:8500 refuses",)

    def test_after_a_run_that_was_killed_creates_the_rest(self) -> None:
        plan = planned(without("m-prod-2", "w-prod-1"), ABSENT)
        assert keys(plan) == ["create m-prod-2", "create w-prod-1", "arrange prod"]
        assert carriers(plan) == []

    def test_while_our_own_discovery_machine_still_boots_goes_on(self) -> None:
        assert keys(planned(without("w-prod-1"), error="no answer yet")) == ["create w-prod-1", "arrange prod"]

    def test_scrubs_every_finished_machine_that_was_not_scrubbed(self) -> None:
        vms = (*without("m-prod-1", "w-prod-1"), vm("m-prod-1", status=FINISHED, carries_ca=True))
        vms = (*vms, vm("w-prod-1", Role.WORKER, status=FINISHED, scrubbed=True))
        assert keys(planned(vms, LIVES)) == ["scrub m-prod-1"]

    def test_powers_on_what_is_off(self) -> None:
        vms = (*without("w-prod-1"), vm("w-prod-1", Role.WORKER, power=Power.OFF))
        assert keys(planned(vms, LIVES)) == ["start w-prod-1"]

    def test_powers_on_the_discovery_machine_before_it_creates_others(self) -> None:
        vms = (vm("consul-prod", Role.DISCOVERY, power=Power.OFF), *without("consul-prod", "w-prod-1"))
        plan = planned(vms)
        assert keys(plan) == ["start consul-prod", "create w-prod-1", "arrange prod"]
        assert "await consul-prod" in action(plan, "create w-prod-1").after

    def test_tells_of_machines_made_from_another_configuration(self) -> None:
        old = Stamp("prod", "id-1", Role.WORKER, "older spec")
        notes = planned((*without("w-prod-1"), vm("w-prod-1", Role.WORKER, stamp=old)), LIVES).notes
        assert len(notes) == 1
        assert "w-prod-1 was made from another configuration" in notes[0]
        assert "destroy --name prod --node w-prod-1" in notes[0]

    def test_names_the_command_that_replaces_a_failed_machine(self) -> None:
        failed = vm("w-prod-1", Role.WORKER, status=NodeStatus(Stage.JOIN, "failed", "token expired"))
        (note,) = planned((*without("w-prod-1"), failed), LIVES).notes
        assert "stage join: token expired" in note
        assert "destroy --name prod --node w-prod-1" in note


class TestALivingCluster:
    def test_gets_fresh_secrets_before_its_first_new_machine(self) -> None:
        plan = planned(WHOLE, LIVES, desired=desire(workers=4))
        assert keys(plan) == ["mint prod", "create w-prod-3", "create w-prod-4", "arrange prod"]
        assert action(plan, "create w-prod-3").after == {"mint prod"}

    def test_never_gives_the_authorities_away_again(self) -> None:
        assert carriers(planned(without("m-prod-1"), LIVES)) == []

    def test_is_known_by_its_mark_when_discovery_has_lost_the_record(self) -> None:
        assert carriers(planned(without("m-prod-1"), ABSENT, marked=True)) == []

    def test_is_known_by_a_master_that_has_finished(self) -> None:
        vms = (*without("m-prod-1", "m-prod-2"), vm("m-prod-2", status=FINISHED, scrubbed=True))
        assert carriers(planned(vms, ABSENT)) == []

    def test_loses_the_dead_masters_member_before_the_new_one_is_created(self) -> None:
        living = Living(
            (ClusterNode("m-prod-1", False, ("control-plane",), "10.0.0.8"),),
            (EtcdMember("7", "m-prod-1", ("https://10.0.0.8:2380",)),),
        )
        plan = planned(without("m-prod-1"), LIVES, living=living)
        assert keys(plan) == ["remove-member m-prod-1", "mint prod", "create m-prod-1", "arrange prod"]
        assert "remove-member m-prod-1" in action(plan, "create m-prod-1").after

    def test_loses_a_learner_that_never_started_and_whose_machine_is_gone(self) -> None:
        living = Living((), (EtcdMember("9", "", ("https://10.9.9.9:2380",), learner=True),))
        assert "remove-member etcd-9" in keys(planned(without("m-prod-1"), LIVES, living=living))

    def test_refuses_new_machines_while_discovery_does_not_answer(self) -> None:
        with pytest.raises(DiscoveryError, match=r"refuses.*nothing was changed"):
            planned(WHOLE, error="10.0.0.1:8500 refuses", marked=True, desired=desire(workers=3))


class TestTheVersionOfALivingCluster:
    MORE = desire(workers=3)

    @pytest.mark.parametrize("running", ["1.35.9", "1.37.0"])
    def test_is_that_of_new_machines_or_they_are_refused(self, running: str) -> None:
        minor = running[:4]
        with pytest.raises(ConfigError, match=rf"would get 1\.36, but cluster prod runs {running}.*--k8s-version {minor}\)"):
            planned(WHOLE, LIVES, desired=self.MORE, living=Living(version=running))

    def test_may_have_any_patch_where_only_a_minor_is_asked_for(self) -> None:
        assert planned(WHOLE, LIVES, desired=self.MORE, living=Living(version="1.36.2")).notes == ()

    def test_may_have_another_patch_than_new_machines_and_that_is_said(self) -> None:
        exact = replace(self.MORE, cluster=replace(self.MORE.cluster, kubernetes_version="1.36.4"))
        (note,) = planned(WHOLE, LIVES, desired=exact, living=Living(version="1.36.2")).notes
        assert note == "new machines get Kubernetes 1.36.4, and the cluster runs 1.36.2"

    def test_is_of_no_interest_where_nobody_had_to_be_asked(self) -> None:
        assert planned(WHOLE, LIVES).notes == ()


class TestAClusterThatNobodyCouldInitialise:
    def test_gets_a_new_carrier_where_the_record_is_surely_absent(self) -> None:
        assert carriers(planned(without("m-prod-1"), ABSENT)) == ["m-prod-1"]

    def test_is_left_alone_where_nobody_can_know(self) -> None:
        with pytest.raises(DiscoveryError, match="cannot know whether cluster prod was initialised"):
            planned(without("m-prod-1"), error="no answer")

    def test_names_the_command_that_helps_where_all_masters_exist(self) -> None:
        vms = (*without("m-prod-1", "w-prod-1"), vm("m-prod-1"))
        with pytest.raises(ConfigError, match="destroy --name prod --node m-prod-1"):
            planned(vms, ABSENT)

    def test_forgets_the_record_of_an_initialiser_that_is_gone(self) -> None:
        plan = planned(without("m-prod-1"), Discovery(initialised=False, initialising="m-prod-1"))
        assert keys(plan) == ["forget-initialising prod", "create m-prod-1", "arrange prod"]
        assert "forget-initialising prod" in action(plan, "create m-prod-1").after


class TestRefusals:
    def test_of_fewer_machines_names_the_command_that_removes_them(self) -> None:
        with pytest.raises(ConfigError, match="destroy --name prod --node w-prod-2"):
            planned(WHOLE, LIVES, desired=desire(workers=1))

    def test_of_foreign_machines_name_all_of_them(self) -> None:
        strangers = (
            replace(vm("m-prod-1"), stamp=None, where="/dc/vm/m-prod-1"),
            vm("w-prod-1", stamp=Stamp("other", "id-9", Role.WORKER, "")),
        )
        with pytest.raises(ConfigError) as refusal:
            planned(strangers)
        assert len(refusal.value.problems) == 2
        assert "/dc/vm/m-prod-1" in refusal.value.problems[0]

    def test_an_existing_discovery_service_that_does_not_answer(self) -> None:
        with pytest.raises(DiscoveryError, match="refuses"):
            planned(error="10.200.200.1:8500 refuses", desired=desire(server=False))
