"""The planner of `restore` where masters alone are lost: what stands in the way, what goes, and that workers stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from doubles import restoration
from doubles.restoration import ABSENT, DIGEST, FINISHED, LOST, SERVER, action, archived, carriers, desire, keys, vm

from kube_provision_core.contract.errors import ControlPlaneError, DiscoveryError, FolderError
from kube_provision_core.contract.machines import Discovery, MasterRecord, Power, Role, Vm
from kube_provision_core.engine.facts import Known
from kube_provision_core.engine.plan import AwaitTask, Plan

OFF = Power.OFF
KNOWN = {"consul-prod": "discovery", "m-prod-1": "master", "w-prod-1": "worker"}


def worker(index: int = 1, **more: Any) -> Vm:
    made = vm(f"w-prod-{index}", Role.WORKER, status=FINISHED, scrubbed=True, **more)
    assert made.stamp
    return replace(made, stamp=replace(made.stamp, instance="made-once"))


MASTERS = (vm("m-prod-1", carries_ca=True), vm("m-prod-2"), vm("m-prod-3"))
LEFT = (SERVER, worker())
"""Of a cluster whose masters' machines are gone."""


class Leaders:
    """Whom etcd of each master follows, as it says itself; counts how often all of them were asked."""

    def __init__(self, said: Mapping[str, str | ControlPlaneError] | None = None) -> None:
        self.said, self.asked = said or {}, 0

    def items(self) -> Any:
        self.asked += 1
        return self.said.items()


def planned(*vms: Vm, discovery: Discovery | None = LOST, **more: Any) -> Plan:
    given = {"leaders": Leaders(), "archive": archived(machines=KNOWN), "only": "master"}
    return restoration.planned(vms, discovery, **(given | more))


def refused(*vms: Vm, discovery: Discovery | None = LOST, **more: Any) -> str:
    given = {"leaders": Leaders(), "archive": archived(machines=KNOWN), "only": "master"}
    return restoration.refused(*vms, discovery=discovery, **(given | more))


def destroyed(plan: Plan) -> set[str]:
    return {it.subject for it in plan.actions if it.verb == "destroy"}


class TestWhereMastersAreGone:
    def test_they_are_made_anew_for_the_workers_that_live(self) -> None:
        assert keys(planned(*LEFT)) == [
            "abandon prod",
            "forget prod",
            "begin-restore prod",
            "create m-prod-1",
            "snapshot m-prod-1",
            "forget-nodes prod",
            "mint prod",
            "create m-prod-2",
            "create m-prod-3",
        ]
        assert carriers(planned(*LEFT)) == ["m-prod-1"]

    def test_discovery_forgets_the_others_before_the_first_is_made(self) -> None:
        """It would take a cluster that is recorded for one that it can join."""
        plan = planned(*LEFT)
        assert action(plan, "begin-restore prod").after == {"abandon prod", "forget prod"}
        assert "begin-restore prod" in action(plan, "create m-prod-1").after

    def test_the_folder_tells_that_they_alone_are_restored(self) -> None:
        plan = planned(*LEFT)
        for key in ("abandon prod", "begin-restore prod"):
            assert action(plan, key).details == {"sha256": DIGEST, "masters_only": True}

    def test_the_user_is_told_who_stays(self) -> None:
        plan = planned(*LEFT, worker(2), desired=desire(2), archive=archived(machines=KNOWN | {"w-prod-2": "worker"}))
        assert plan.notes[1] == "masters alone are restored; as they are stay: w-prod-1, w-prod-2"

    def test_a_worker_that_is_off_is_started_and_one_that_is_missing_is_made(self) -> None:
        changes = keys(planned(SERVER, worker(power=OFF), desired=desire(2)))
        assert "start w-prod-1" in changes
        assert "create w-prod-2" in changes

    def test_with_a_discovery_machine_that_is_gone_its_address_is_told(self) -> None:
        plan = planned(worker(), discovery=None)
        assert keys(plan)[:3] == ["begin-restore prod", "create consul-prod", "create m-prod-1"]
        assert "it must have that address" in plan.notes[2]

    def test_with_a_service_that_is_not_the_clusters_own(self) -> None:
        assert keys(planned(worker(), desired=desire(server=False)))[:2] == ["abandon prod", "forget prod"]


class TestMastersThatAreLeft:
    def test_are_destroyed_once_the_folder_says_so_and_nothing_else_is(self) -> None:
        leaders = Leaders({"m-prod-1": "", "m-prod-2": ""})
        plan = planned(*LEFT, *MASTERS, abandon=True, leaders=leaders)
        assert destroyed(plan) == {"m-prod-1", "m-prod-2", "m-prod-3"}
        assert all(it.after == {"abandon prod"} for it in plan.actions if it.verb == "destroy")
        assert action(plan, "forget prod").after == {"abandon prod", *(f"destroy {it.name}" for it in MASTERS)}
        assert not any(it.subject == "w-prod-1" for it in plan.changes)
        assert leaders.asked == 1

    def test_are_not_destroyed_unasked(self) -> None:
        said = refused(*LEFT, *MASTERS[1:])
        assert said.startswith("m-prod-2, m-prod-3: of cluster prod, and not known to be lost")
        assert said.endswith("restore with --abandon-old")

    @pytest.mark.parametrize("abandon", [False, True])
    def test_that_follow_a_leader_are_a_cluster_that_lives(self, abandon: bool) -> None:
        leaders = Leaders({"m-prod-1": "", "m-prod-2": "1234"})
        said = refused(*LEFT, *MASTERS, abandon=abandon, leaders=leaders)
        assert said.startswith("cluster prod lives: etcd of m-prod-2 follows a leader")
        assert "kube-provision provision --name prod" in said

    @pytest.mark.parametrize("abandon", [False, True])
    def test_that_cannot_be_asked_may_be_of_a_quorum(self, abandon: bool) -> None:
        leaders = Leaders({"m-prod-1": "", "m-prod-2": ControlPlaneError("10.0.0.2:2379 cannot be reached")})
        said = refused(*LEFT, *MASTERS, abandon=abandon, leaders=leaders)
        assert said.startswith("m-prod-2 is not off, and does not say whether etcd has lost its quorum: 10.0.0.2:2379")
        assert said.endswith("Power it off, and run again")

    @pytest.mark.parametrize("abandon", [False, True])
    def test_that_answer_are_a_cluster_that_lives_whatever_etcd_says(self, abandon: bool) -> None:
        leaders = Leaders()
        lives = replace(LOST, masters=(MasterRecord("m-prod-2", "10.0.0.2"),))
        assert "m-prod-2 answers" in refused(*LEFT, *MASTERS, discovery=lives, abandon=abandon, leaders=leaders)
        assert "a master of it answers" in refused(*LEFT, *MASTERS, answers=True, abandon=abandon, leaders=leaders)
        assert leaders.asked == 0

    def test_are_looked_for_where_the_backup_knows_them(self) -> None:
        archive = archived(machines=KNOWN, addresses=("10.9.0.1", worker().addresses[0]))
        said = refused(*LEFT, archive=archive, who_answers=lambda addresses: " ".join(addresses))
        assert "a master of it answers at 10.9.0.1, as the backup knows" in said


class TestWhatIsRefused:
    def test_without_workers_nothing_is_restored_for_anybody(self) -> None:
        said = refused(SERVER, *MASTERS, abandon=True)
        assert said == (
            "cluster prod has no worker that would go on. To restore all of it: kube-provision restore --name prod FILE"
        )

    @pytest.mark.parametrize(
        ("server", "error", "why"),
        [(SERVER, "nobody answers", "nobody answers"), (replace(SERVER, power=OFF, addresses=()), "", "is it powered on?")],
    )
    def test_a_discovery_machine_that_would_remember_the_others(self, server: Vm, error: str, why: str) -> None:
        with pytest.raises(DiscoveryError, match="cannot be told to forget the masters of before") as problem:
            planned(server, worker(), discovery=None, error=error)
        assert why in str(problem.value)

    def test_workers_of_another_cluster(self) -> None:
        other = worker()
        assert other.stamp
        with pytest.raises(FolderError, match="w-prod-1: of another cluster that is also named prod; the backup holds"):
            planned(SERVER, replace(other, stamp=replace(other.stamp, cluster_id="id-2")))

    def test_more_workers_than_the_configuration_asks_for(self) -> None:
        assert "more machine(s) than asked for: w-prod-2" in refused(*LEFT, worker(2))

    def test_all_of_it_while_masters_alone_are_being_restored(self) -> None:
        """Whoever forgets the option would destroy the workers."""
        going_on = "whose masters alone are being restored. To go on with that: kube-provision restore --masters-only"
        mark: dict[str, Any] = {"only": "", "masters_only": True}
        assert f"{going_on} --name prod FILE" in refused(*LEFT, restoring=DIGEST, **mark)
        assert f"{going_on} --abandon-old --name" in refused(*LEFT, MASTERS[0], abandoning=DIGEST, **mark)

    @pytest.mark.parametrize("mark", ["restoring", "abandoning"])
    def test_all_of_it_abandoned_while_masters_alone_are_being_restored(self, mark: str) -> None:
        """Whoever forgets the option would destroy the workers."""
        said = refused(*LEFT, MASTERS[0], only="", abandon=True, masters_only=True, **{mark: DIGEST})
        assert "whose masters alone are being restored. To go on with that: kube-provision restore --masters-only" in said

    def test_nothing_of_that_once_the_workers_are_gone_as_well(self) -> None:
        mark: dict[str, Any] = {"only": "", "masters_only": True, "abandoning": DIGEST}
        assert "restore --abandon-old --name prod FILE" in refused(SERVER, MASTERS[0], **mark)
        assert destroyed(planned(SERVER, MASTERS[0], abandon=True, **mark)) == {"consul-prod", "m-prod-1"}

    def test_all_of_it_where_workers_live_says_how_they_would_stay(self) -> None:
        assert refused(*LEFT, only="").endswith("its workers stay with --masters-only")


class TestGoingOn:
    def test_one_that_was_killed_while_it_destroyed_is_found_again(self) -> None:
        mark: dict[str, Any] = {"abandoning": DIGEST, "masters_only": True}
        said = refused(*LEFT, MASTERS[0], **mark)
        assert said.startswith("m-prod-1: left of cluster prod, which a restoration was destroying")
        assert said.endswith("kube-provision restore --masters-only --abandon-old --name prod FILE")
        plan = planned(*LEFT, MASTERS[0], abandon=True, **mark)
        assert keys(plan)[:4] == ["abandon prod", "destroy m-prod-1", "forget prod", "begin-restore prod"]

    def test_one_that_was_killed_once_it_had_begun_makes_what_is_left(self) -> None:
        first = vm("m-prod-1", carries_ca=True)
        leaders = Leaders()
        plan = planned(*LEFT, first, discovery=ABSENT, restoring=DIGEST, masters_only=True, leaders=leaders)
        assert keys(plan)[:3] == ["snapshot m-prod-1", "forget-nodes prod", "mint prod"]
        assert carriers(plan) == []
        assert destroyed(plan) == set()
        assert leaders.asked == 0, "it is the restoration's own, and may be in the middle of its boot"

    def test_what_has_failed_on_its_way_is_abandoned_without_the_workers(self) -> None:
        first = vm("m-prod-1", carries_ca=True)
        mark: dict[str, Any] = {"restoring": DIGEST, "masters_only": True, "discovery": ABSENT}
        plan = planned(*LEFT, first, answers=True, abandon=True, **mark)
        assert destroyed(plan) == {"m-prod-1"}
        assert keys(plan)[:2] == ["destroy m-prod-1", "begin-restore prod"]

    def test_one_that_lives_again_has_only_the_rest_made(self) -> None:
        lives = Discovery(initialised=True, masters=(MasterRecord("m-prod-1", "10.0.0.2"),), cluster_id="id-1")
        first = vm("m-prod-1", carries_ca=True, status=FINISHED)
        mark: dict[str, Any] = {"restoring": DIGEST, "masters_only": True, "initialised": Known(True), "answers": True}
        plan = planned(*LEFT, first, discovery=lives, **mark)
        assert keys(plan) == ["forget-nodes prod", "mint prod", "create m-prod-2", "create m-prod-3"]

    def test_one_whose_first_master_is_gone_is_begun_anew_without_the_workers(self) -> None:
        others = [vm(f"m-prod-{index}") for index in (1, 2, 3)]
        said = refused(*LEFT, *others, discovery=ABSENT, restoring=DIGEST, masters_only=True)
        assert said.endswith("kube-provision restore --masters-only --abandon-old --name prod FILE")

    def test_another_restoration_that_is_under_way_is_not_taken_for_this_one(self) -> None:
        first = vm("m-prod-1", carries_ca=True)
        assert "not known to be lost" in refused(*LEFT, first, discovery=ABSENT, restoring=DIGEST)
        assert "not known to be lost" in refused(*LEFT, first, discovery=ABSENT, restoring="cd" * 32, masters_only=True)


class TestAWorkerThatJoinedAfterTheBackup:
    TWO = (*LEFT, worker(2))

    def registering(self, plan: Plan) -> list[str]:
        return [it.subject for it in plan.actions if isinstance(it, AwaitTask)]

    def test_registers_itself_again_once_the_cluster_lives(self) -> None:
        plan = planned(*self.TWO, desired=desire(2))
        assert self.registering(plan) == ["w-prod-2"]
        task = next(it for it in plan.actions if isinstance(it, AwaitTask))
        assert [step.step.script for step in task.task.steps] == ["systemctl restart kubelet\n"]
        assert action(plan, "give-register w-prod-2").after == {"forget-nodes prod"}

    def test_does_so_also_where_a_run_was_killed_after_that(self) -> None:
        lives = Discovery(initialised=True, masters=(MasterRecord("m-prod-1", "10.0.0.2"),), cluster_id="id-1")
        first = vm("m-prod-1", carries_ca=True, status=FINISHED)
        mark: dict[str, Any] = {"restoring": DIGEST, "masters_only": True, "initialised": Known(True), "answers": True}
        plan = planned(*self.TWO, first, discovery=lives, desired=desire(2), **mark)
        assert self.registering(plan) == ["w-prod-2"]
        assert action(plan, "give-register w-prod-2").after == {"forget-nodes prod"}

    def test_does_so_by_itself_where_it_is_started_or_made(self) -> None:
        plan = planned(*LEFT, worker(2, power=OFF), desired=desire(3))
        assert self.registering(plan) == []

    @pytest.mark.parametrize(
        ("late", "more", "why"),
        [
            (worker(2), {"delivers": False}, "the target brings machines no tasks"),
            (vm("w-prod-2", Role.WORKER, status=FINISHED), {}, "made by an earlier version"),
        ],
    )
    def test_is_told_where_it_cannot_be_given_that(self, late: Vm, more: dict[str, Any], why: str) -> None:
        plan = planned(*LEFT, late, desired=desire(2), **more)
        assert self.registering(plan) == []
        (note,) = [it for it in plan.notes if "joined after the backup" in it]
        assert why in note
        assert note.endswith("systemctl restart kubelet")

    def test_is_left_alone_where_all_is_restored(self) -> None:
        assert self.registering(planned(*self.TWO, desired=desire(2), only="", abandon=True)) == []
