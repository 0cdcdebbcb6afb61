"""The planner of `restore`: of what a cluster is made anew, in which order, and what stands in the way."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from doubles.facts import GivenFacts
from doubles.restoration import (
    ABSENT,
    DIGEST,
    FAILED,
    FINISHED,
    LOST,
    SERVER,
    WHOLE,
    action,
    archived,
    carriers,
    desire,
    keys,
    planned,
    refused,
    vm,
)

from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.errors import BackupError, ConfigError, DiscoveryError, FolderError
from kube_provision_core.contract.machines import Discovery, FailureDomain, MasterRecord, Power, Role
from kube_provision_core.engine.facts import Known
from kube_provision_core.engine.nodes import LabelNode
from kube_provision_core.engine.plan import BringSnapshot, CreateVm
from kube_provision_core.engine.verb import Options
from kube_provision_core.verbs.restore import plan


class TestAfterATotalLoss:
    def test_all_is_made_anew_and_the_nodes_of_before_are_forgotten(self) -> None:
        assert keys(planned()) == [
            "begin-restore prod",
            "create consul-prod",
            "create m-prod-1",
            "snapshot m-prod-1",
            "forget-nodes prod",
            "mint prod",
            "create m-prod-2",
            "create m-prod-3",
            "create w-prod-1",
        ]

    def test_nothing_is_made_before_the_folder_says_so(self) -> None:
        plan = planned()
        assert action(plan, "create consul-prod").after == {"begin-restore prod"}
        assert action(plan, "create m-prod-1").after >= {"begin-restore prod", "await consul-prod"}

    def test_one_master_begins_with_the_snapshot_and_is_looked_at_meanwhile(self) -> None:
        plan = planned()
        assert carriers(plan) == ["m-prod-1"]
        assert action(plan, "snapshot m-prod-1").after == {"create m-prod-1"}
        assert action(plan, "boot m-prod-1").after == {"create m-prod-1"}
        assert len([it for it in plan.actions if it.key == "boot m-prod-1"]) == 1

    def test_who_joins_is_made_once_the_nodes_of_before_are_forgotten(self) -> None:
        """A node of its name that seems to live would keep it from joining."""
        plan = planned()
        assert action(plan, "forget-nodes prod").after == {"snapshot m-prod-1", "boot m-prod-1"}
        assert action(plan, "mint prod").after == {"forget-nodes prod"}
        for name in ("m-prod-2", "m-prod-3", "w-prod-1"):
            assert action(plan, f"create {name}").after == {"forget-nodes prod", "mint prod"}

    def test_all_are_given_what_their_kubelets_may_not_once_masters_have_joined(self) -> None:
        """Nodes of before are forgotten by then, with all that was theirs."""
        restricted = "node-role.kubernetes.io/worker"
        plan = planned(core=lambda role: SimpleNamespace(labels={restricted: "", "disk": "fast"}))
        given = {it.subject: it for it in plan.actions if isinstance(it, LabelNode)}
        assert set(given) == {"m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1"}
        assert {it.labels for it in given.values()} == {((restricted, ""),)}
        assert given["w-prod-1"].after == {"boot w-prod-1", "ready prod", "forget-nodes prod"}

    def test_the_user_is_told_what_the_backup_is(self) -> None:
        machines = {"consul-prod": "discovery", "m-prod-1": "master", "w-prod-1": "worker", "w-prod-2": "worker"}
        assert planned(archive=archived(machines=machines)).notes[0] == (
            "the backup is of 2026-11-29 00:00 UTC: 0.0 MB at revision 42, Kubernetes 1.36.2, masters: 1, workers: 2. "
            "What was written since is lost"
        )

    def test_machines_get_the_kubernetes_of_the_backup(self) -> None:
        plan = planned(desired=desire(version="1.37"))
        assert {it.version for it in plan.actions if isinstance(it, CreateVm) and it.node.role is not Role.DISCOVERY} == {
            "1.36.2"
        }
        assert any("new machines get Kubernetes 1.36.2" in note for note in plan.notes)

    def test_a_service_that_outlives_the_cluster_forgets_it_first(self) -> None:
        plan = planned(discovery=LOST, desired=desire(server=False))
        assert keys(plan)[:4] == ["abandon prod", "forget prod", "begin-restore prod", "create m-prod-1"]
        assert action(plan, "forget prod").after == {"abandon prod"}
        assert action(plan, "begin-restore prod").after == {"abandon prod", "forget prod"}

    def test_a_service_that_knows_nothing_of_it_has_nothing_to_forget(self) -> None:
        assert "forget prod" not in keys(planned(discovery=ABSENT, desired=desire(server=False)))

    def test_a_cluster_of_one_mints_nothing(self) -> None:
        alone = replace(desire(workers=0), masters=desire().masters[:1])
        assert keys(planned(desired=alone))[-1] == "forget-nodes prod"

    def test_a_cluster_without_masters_but_the_first_mints_a_token_alone(self) -> None:
        few = replace(desire(), masters=desire().masters[:1])
        assert action(planned(desired=few), "mint prod").reason == "a join token"

    def test_a_target_that_arranges_machines_does(self) -> None:
        assert "arrange prod" in keys(planned(arranges=True))


class TestWhatIsLeft:
    def test_it_is_refused_where_machines_are_left(self) -> None:
        said = refused(vm("m-prod-2", power=Power.OFF), vm("w-prod-1", Role.WORKER))
        assert said.startswith("m-prod-2, w-prod-1: of cluster prod, and not known to be lost")
        assert "--abandon-old" in said

    def test_what_is_abandoned_is_destroyed_before_anything_is_made(self) -> None:
        plan = planned(WHOLE, abandon=True)
        gone = {f"destroy {it.name}" for it in WHOLE}
        assert {it.key for it in plan.actions if it.verb == "destroy"} == gone
        assert action(plan, "begin-restore prod").after == {"abandon prod", *gone}
        assert "create consul-prod" in keys(plan)

    def test_the_folder_tells_of_it_before_anything_is_destroyed(self) -> None:
        plan = planned(WHOLE, abandon=True)
        assert plan.actions[0].details == {"sha256": DIGEST, "masters_only": False}
        assert plan.actions[0].key == "abandon prod"
        assert {it.after for it in plan.actions if it.verb == "destroy"} == {frozenset({"abandon prod"})}

    def test_a_machine_that_was_half_made_is_left_too(self) -> None:
        half = vm("m-prod-1", complete=False)
        assert "m-prod-1: of cluster prod" in refused(half)
        assert keys(planned((half,), abandon=True))[:3] == ["abandon prod", "destroy m-prod-1", "begin-restore prod"]

    @pytest.mark.parametrize("abandon", [False, True])
    def test_a_cluster_that_lives_is_never_restored(self, abandon: bool) -> None:
        lives = Discovery(initialised=True, masters=(MasterRecord("m-prod-2", "10.0.0.2"),), cluster_id="id-1")
        assert refused(*WHOLE, discovery=lives, abandon=abandon).startswith("cluster prod lives: m-prod-2 answers")
        assert refused(*WHOLE, answers=True, abandon=abandon).startswith("cluster prod lives: a master of it answers")

    @pytest.mark.parametrize("restoring", ["", DIGEST, "of another"])
    def test_machines_of_another_cluster_are_left_alone(self, restoring: str) -> None:
        """Also where nothing but the backup tells which cluster this is."""
        other = vm("m-prod-1")
        assert other.stamp
        stamped = replace(other, stamp=replace(other.stamp, cluster_id="id-2"))
        with pytest.raises(
            FolderError, match=r"m-prod-1: of another cluster .* the backup holds the secrets of cluster id-1"
        ):
            planned((stamped,), abandon=True, restoring=restoring)

    @pytest.mark.parametrize("restoring", ["", DIGEST])
    def test_what_a_service_remembers_of_another_cluster_is_left_alone(self, restoring: str) -> None:
        others = Discovery(initialised=True, cluster_id="id-2")
        with pytest.raises(
            FolderError, match=r"remembers another cluster that is also named prod\. Restore it where no other"
        ):
            planned(discovery=others, desired=desire(server=False), abandon=True, restoring=restoring)

    def test_a_machine_that_bears_a_name_and_no_stamp_is_left_alone(self) -> None:
        assert "is not one of cluster prod's" in refused(replace(vm("m-prod-1"), stamp=None), abandon=True)

    def test_a_service_that_does_not_answer_may_know_of_it(self) -> None:
        with pytest.raises(DiscoveryError, match="nobody answers"):
            planned(desired=desire(server=False), error="nobody answers")


class TestOneThatWasBrokenOffWhileItDestroyed:
    """The folder tells of it: what is left is of the cluster of before, and no machine of the restoration's own."""

    LEFT = (vm("m-prod-1", carries_ca=True), vm("w-prod-1", Role.WORKER))

    @pytest.mark.parametrize("lives", [False, True])
    def test_it_is_told_and_nothing_of_it_is_taken_for_a_restored_machine(self, lives: bool) -> None:
        said = refused(*self.LEFT, abandoning=DIGEST, initialised=Known(lives))
        assert said.startswith("m-prod-1, w-prod-1: left of cluster prod, which a restoration was destroying")
        assert said.endswith("kube-provision restore --abandon-old --name prod FILE")

    @pytest.mark.parametrize("abandoning", [DIGEST, "cd" * 32])
    def test_the_next_run_destroys_the_rest_from_whichever_backup(self, abandoning: str) -> None:
        plan = planned(self.LEFT, abandoning=abandoning, abandon=True, initialised=Known(True))
        before = ["abandon prod", "destroy m-prod-1", "destroy w-prod-1"]
        assert keys(plan)[:4] == [*before, "begin-restore prod"]
        assert action(plan, "begin-restore prod").after == set(before)

    @pytest.mark.parametrize("lives", [False, True])
    def test_where_nothing_is_left_it_begins(self, lives: bool) -> None:
        assert keys(planned(abandoning=DIGEST, initialised=Known(lives)))[0] == "begin-restore prod"

    @pytest.mark.parametrize("abandon", [False, True])
    def test_one_that_lives_all_the_same_is_left_alone(self, abandon: bool) -> None:
        said = refused(*self.LEFT, abandoning=DIGEST, answers=True, abandon=abandon)
        assert said.startswith("cluster prod lives: a master of it answers")


class TestWhereTheClusterMayLiveElsewhere:
    """The configuration may look at another folder, or another hypervisor, than the one where its masters run."""

    KNOWN = ("10.1.0.1", "10.1.0.2")

    @pytest.fixture
    def asked(self) -> list[str]:
        return []

    @pytest.fixture
    def world(self, asked: list[str]) -> dict[str, object]:
        """Somebody answers at every address that is asked."""

        def who_answers(addresses: list[str]) -> str:
            asked.extend(addresses)
            return addresses[0] if addresses else ""

        return {"archive": archived(addresses=self.KNOWN), "who_answers": who_answers}

    def test_it_is_looked_for_where_the_backup_knows_masters(self, world: dict[str, object], asked: list[str]) -> None:
        said = refused(**world)
        assert said.startswith("cluster prod lives: a master of it answers at 10.1.0.1, as the backup knows")
        assert "end it there first" in said
        assert asked == list(self.KNOWN)

    @pytest.mark.parametrize("marks", [{}, {"abandoning": DIGEST}, {"restoring": "cd" * 32}])
    def test_what_is_abandoned_is_not_taken_for_it_and_anything_else_is(
        self, world: dict[str, object], asked: list[str], marks: dict[str, str]
    ) -> None:
        left = vm("m-prod-1", addresses=("192.168.0.1", "10.1.0.1"))
        assert "answers at 10.1.0.2" in refused(left, **world, **marks, abandon=True)
        assert asked == ["10.1.0.2"]

    def test_a_restoration_that_goes_on_does_not_find_itself(self, world: dict[str, object], asked: list[str]) -> None:
        """Machines that are made anew have the addresses of before, where the configuration says which."""
        made = (SERVER, vm("m-prod-1", carries_ca=True, addresses=("10.1.0.1",)), vm("m-prod-2", addresses=("10.1.0.2",)))
        plan = planned(made, ABSENT, restoring=DIGEST, **world)
        assert "snapshot m-prod-1" in keys(plan)
        assert asked == []

    def test_a_machine_of_it_that_tells_no_address_yet_may_be_the_one_that_answers(self, world: dict[str, object]) -> None:
        silent = vm("m-prod-1", carries_ca=True, addresses=())
        assert "snapshot m-prod-1" in keys(planned((SERVER, silent), ABSENT, restoring=DIGEST, **world))
        off = replace(silent, power=Power.OFF)
        assert "answers at 10.1.0.1" in refused(SERVER, off, discovery=ABSENT, restoring=DIGEST, **world)

    def test_a_restoration_that_goes_on_finds_the_cluster_of_before(self, world: dict[str, object]) -> None:
        assert "answers at 10.1.0.1" in refused(restoring=DIGEST, **world)

    def test_one_that_lives_again_is_not_looked_for(self, world: dict[str, object], asked: list[str]) -> None:
        lives = Discovery(initialised=True, masters=(MasterRecord("m-prod-1", "10.0.0.2"),), cluster_id="id-1")
        first = vm("m-prod-1", carries_ca=True, status=FINISHED)
        planned((SERVER, first), lives, restoring=DIGEST, initialised=Known(True), answers=True, **world)
        assert asked == []


class TestABackup:
    def test_without_one_there_is_nothing_to_begin_with(self) -> None:
        desired = desire()
        with pytest.raises(ConfigError, match="no backup was named"):
            plan(desired, GivenFacts(Observation(desired.cluster, ())), Options())

    @pytest.mark.parametrize(("backed_up", "wanted"), [("1.99.0", "1.37"), ("1.37.1", "1.36")])
    def test_one_of_a_newer_kubernetes_is_refused(self, backed_up: str, wanted: str) -> None:
        with pytest.raises(BackupError, match=f"Kubernetes {backed_up}"):
            planned(archive=archived(kubernetes=backed_up), desired=desire(version=wanted))

    def test_one_of_a_kubernetes_that_nothing_can_be_made_for_is_refused(self) -> None:
        assert "makes machines for" in refused(archive=archived(kubernetes="1.20.1"))


class TestGoingOn:
    """Once its folder says so, what exists is the restoration's own."""

    def test_a_run_that_was_killed_before_a_machine_was_made_begins_there(self) -> None:
        assert keys(planned(restoring=DIGEST))[0] == "create consul-prod"

    def test_a_master_that_waits_is_brought_the_snapshot(self) -> None:
        plan = planned((SERVER, vm("m-prod-2", carries_ca=True)), ABSENT, restoring=DIGEST)
        assert [it.subject for it in plan.actions if isinstance(it, BringSnapshot)] == ["m-prod-2"]
        assert carriers(plan) == []
        assert action(plan, "snapshot m-prod-2").after == frozenset()
        assert action(plan, "create m-prod-1").after == {"forget-nodes prod", "mint prod"}

    def test_one_that_is_off_is_started_first(self) -> None:
        off = vm("m-prod-1", carries_ca=True, power=Power.OFF)
        assert action(planned((SERVER, off), ABSENT, restoring=DIGEST), "snapshot m-prod-1").after == {"start m-prod-1"}

    def test_machines_that_were_half_made_are_made_anew(self) -> None:
        """A target may make one in several steps; what is left where it was killed is neither there nor anybody's else."""
        halves = [
            replace(it, complete=False, power=Power.OFF, addresses=()) for it in (SERVER, vm("m-prod-1", carries_ca=True))
        ]
        for left in (halves, [replace(it, stamp=None) for it in halves]):
            plan = planned(tuple(left), ABSENT, restoring=DIGEST)
            assert keys(plan)[:3] == ["create consul-prod", "create m-prod-1", "snapshot m-prod-1"]
            assert carriers(plan) == ["m-prod-1"]
            assert not [it for it in plan.actions if it.verb == "start"]

    def test_of_a_cluster_that_lives_again_only_the_rest_is_made(self) -> None:
        lives = Discovery(initialised=True, masters=(MasterRecord("m-prod-1", "10.0.0.2"),), cluster_id="id-1")
        first = vm("m-prod-1", carries_ca=True, status=FINISHED)
        plan = planned((SERVER, first), lives, restoring=DIGEST, initialised=Known(True), answers=True)
        assert keys(plan)[:2] == ["forget-nodes prod", "mint prod"]
        assert action(plan, "create m-prod-2").after == {"forget-nodes prod", "mint prod"}
        assert carriers(plan) == []

    def test_one_that_has_lived_and_does_no_more_was_lost_once_more(self) -> None:
        """What is left of it is not what begins with the snapshot: it is fenced as any other cluster's."""
        left = tuple(vm(name, carries_ca=name == "m-prod-1") for name in ("m-prod-1", "m-prod-2"))
        lost = {"restoring": DIGEST, "initialised": Known(True)}
        assert "not known to be lost" in refused(SERVER, *left, discovery=LOST, **lost)
        plan = planned((SERVER, *left), LOST, abandon=True, **lost)
        gone = {"destroy consul-prod", "destroy m-prod-1", "destroy m-prod-2"}
        assert action(plan, "begin-restore prod").after == {"abandon prod", *gone}

    def test_without_the_one_that_could_begin_it_begins_anew(self) -> None:
        left = tuple(vm(f"m-prod-{index}") for index in (1, 2, 3))
        said = refused(SERVER, *left, discovery=ABSENT, restoring=DIGEST)
        assert "no machine of cluster prod can begin" in said
        assert said.endswith("anew: kube-provision restore --abandon-old --name prod FILE")

    @pytest.mark.parametrize("restoring", [DIGEST, "cd" * 32])
    @pytest.mark.parametrize("answers", [False, True])
    def test_what_has_failed_on_its_way_is_abandoned_where_the_user_says_so(self, restoring: str, answers: bool) -> None:
        """Its API server may answer by then: it has not lived for all that."""
        made = (SERVER, vm("m-prod-1", carries_ca=True, status=FAILED))
        plan = planned(made, ABSENT, restoring=restoring, answers=answers, abandon=True)
        assert action(plan, "begin-restore prod").after == {"destroy consul-prod", "destroy m-prod-1"}
        assert carriers(plan) == ["m-prod-1"]
        assert "abandon prod" not in keys(plan), "what is left of it is the restoration's own, as its folder tells"

    def test_one_that_lives_is_not_abandoned(self) -> None:
        lives = Discovery(initialised=True, masters=(MasterRecord("m-prod-1", "10.0.0.2"),), cluster_id="id-1")
        first = vm("m-prod-1", carries_ca=True, status=FINISHED)
        said = refused(SERVER, first, discovery=lives, restoring=DIGEST, initialised=Known(True), abandon=True)
        assert said.startswith("cluster prod lives: m-prod-1 answers")

    def test_with_another_backup_it_begins_anew(self) -> None:
        assert "--abandon-old" in refused(vm("m-prod-1", carries_ca=True), restoring="cd" * 32)


def test_machines_spread_over_failure_domains_as_they_stood_or_where_the_fewest_are() -> None:
    domains = [FailureDomain(name, {f"node-role.kubernetes.io/{name}": ""}) for name in ("zone-a", "zone-b")]
    plan = planned(failure_domains=lambda role: domains)
    made = {it.subject: it.reason.rpartition(" ")[2] for it in plan.actions if isinstance(it, CreateVm)}
    assert [made[f"m-prod-{index}"] for index in (1, 2, 3)] == ["zone-a", "zone-b", "zone-a"]
    labels = {it.subject: dict(it.labels) for it in plan.actions if isinstance(it, LabelNode)}
    assert labels["m-prod-2"] == {"node-role.kubernetes.io/zone-b": ""}
