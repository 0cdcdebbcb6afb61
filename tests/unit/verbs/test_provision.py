"""The planner of `provision`, as a table of situations: what is desired, what was observed, what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from doubles.facts import GivenFacts

from kube_provision_core.cluster import Living
from kube_provision_core.cluster.advice import Remedies
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.desired import Desired
from kube_provision_core.cluster.etcd import EtcdMember
from kube_provision_core.cluster.kubeadm_configuration import KubeadmConfiguration
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import ConfigError, ControlPlaneError, DiscoveryError
from kube_provision_core.contract.machines import (
    Cluster,
    Discovery,
    FailureDomain,
    Machine,
    MasterRecord,
    Node,
    Power,
    Role,
    Stamp,
    Vm,
)
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.facts import Known, Unknown
from kube_provision_core.engine.nodes import ForgetNodes
from kube_provision_core.engine.plan import Action, AwaitMasters, CreateVm, MintSecrets, Plan
from kube_provision_core.engine.verb import Options
from kube_provision_core.verbs.provision import plan

FINISHED = NodeStatus(Stage.FINISH, "done")


def node(name: str, role: Role = Role.MASTER) -> Node:
    return Node(name, role, int(name[-1]) if name[-1].isdigit() else 0, Machine(2, 4), Stamp("prod", "id-1", role, "spec"))


def vm(name: str, role: Role = Role.MASTER, *, carries_ca: bool = False, **more: object) -> Vm:
    stamp = Stamp("prod", "id-1", role, "spec", carries_ca)
    return replace(Vm(name, f"id of {name}", Power.ON, stamp, (f"10.0.0.{len(name)}",)), **more)  # type: ignore[arg-type]


def desire(masters: int = 3, workers: int = 2, *, server: bool = True, servers: int = 1) -> Desired:
    discovery = tuple(node(name, Role.DISCOVERY) for name in SERVERS[:servers]) if server else ()
    nodes = [node(f"m-prod-{i + 1}") for i in range(masters)], [node(f"w-prod-{i + 1}", Role.WORKER) for i in range(workers)]
    names = {n.name for n in (*nodes[0], *nodes[1], *discovery)}
    address = None if server else "10.200.200.1"
    cluster = Cluster("prod", "id-1", "1.36", frozenset(names), discovery_address=address)
    return Desired(cluster, tuple(nodes[0]), tuple(nodes[1]), discovery, Remedies("prod"))


SERVERS = ("consul-prod", "consul-prod-2", "consul-prod-3")
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
    fault: type[DiscoveryError] = DiscoveryError,
    marked: bool = False,
    living: Living | None = None,
    wait: bool = False,
    doubt: str = "",
    arranges: bool = True,
    restoring: bool = False,
    abandoning: bool = False,
    answers: bool = False,
    domains: Sequence[FailureDomain] = (),
) -> Plan:
    desired = desired or desire()
    initialised = Known(marked or (discovery is not None and discovery.initialised))
    told = Known(living or Living())
    facts = GivenFacts(
        Observation(desired.cluster, vms, discovery, error, fault(error) if error else None),
        initialised=Unknown(ControlPlaneError(doubt)) if doubt else initialised,
        nodes=told,
        members=told,
        arranges=arranges,
        answers=answers,
        failure_domains=lambda role: domains,
    )
    facts.folder.restoring = "ab" * 32 if restoring else ""
    facts.folder.abandoning = "ab" * 32 if abandoning else ""
    return plan(desired, facts, Options(wait=wait))


def keys(plan: Plan) -> list[str]:
    assert all(action.reason for action in plan.changes), "a change that does not say why"
    return [action.key for action in plan.changes]


def action(plan: Plan, key: str) -> Action:
    return next(action for action in plan.actions if action.key == key)


def carriers(plan: Plan) -> list[str]:
    return [a.node.name for a in plan.actions if isinstance(a, CreateVm) and a.node.stamp.carries_ca]


class TestFailureDomains:
    DOMAINS = tuple(FailureDomain(name, {"topology.kubernetes.io/zone": name}) for name in ("zone-a", "zone-b"))

    def test_machines_spread_over_them_and_the_plan_says_how(self) -> None:
        plan = planned(domains=self.DOMAINS)
        made = {it.subject: it.node.failure_domain for it in plan.actions if isinstance(it, CreateVm)}
        assert [made[name] for name in ("m-prod-1", "m-prod-2", "m-prod-3")] == [*self.DOMAINS, self.DOMAINS[0]]
        assert action(plan, "create m-prod-2").reason == "it does not exist; in failure domain zone-b"
        assert action(plan, "create consul-prod").reason.endswith("; in failure domain zone-a")
        assert action(plan, "create m-prod-2").details == {
            "spec": "spec",
            "may_initialise": False,
            "failure_domain": "zone-b",
        }

    def test_one_that_is_missing_goes_where_the_fewest_are(self) -> None:
        vms = tuple(replace(it, failure_domain="zone-a" if it.name != "m-prod-1" else "zone-b") for it in WHOLE)
        plan = planned(tuple(it for it in vms if it.name != "m-prod-1"), LIVES, domains=self.DOMAINS)
        assert action(plan, "create m-prod-1").reason.endswith("zone-b")
        assert not plan.notes

    def test_nodes_that_live_are_given_the_labels_of_theirs(self) -> None:
        vms = tuple(replace(it, failure_domain="zone-a") for it in WHOLE)
        told = Living((ClusterNode("w-prod-1", True, (), None, labels={"topology.kubernetes.io/zone": "zone-a"}),))
        told = replace(told, nodes=(*told.nodes, ClusterNode("w-prod-2", True, (), None)))
        plan = planned(vms, LIVES, living=told, domains=self.DOMAINS)
        assert keys(plan) == ["label w-prod-2"]

    def test_machines_of_before_there_were_any_are_told_of(self) -> None:
        vms = (*without("w-prod-2"), replace(vm("w-prod-2", Role.WORKER), failure_domain="zone-b"))
        (note,) = planned(vms, LIVES, domains=self.DOMAINS).notes
        assert note.endswith("given one when made anew: consul-prod, m-prod-1, m-prod-2, m-prod-3, w-prod-1")


class TestAClusterThatIsBeingRestored:
    """Whose restoration was broken off."""

    def test_is_left_to_that_until_it_lives(self) -> None:
        with pytest.raises(ConfigError, match="is being restored, and does not live yet"):
            planned(restoring=True)

    def test_forgets_nodes_of_before_ahead_of_all_that_joins_it(self) -> None:
        plan = planned(without("w-prod-2"), LIVES, restoring=True, answers=True)
        assert keys(plan)[0] == "forget-nodes prod"
        assert "forget-nodes prod" in action(plan, "create w-prod-2").after
        silent = replace(LIVES, masters=())
        for seen, answers in ((LIVES, False), (silent, True)):
            assert keys(planned(WHOLE, seen, restoring=True, answers=answers)) == ["forget-nodes prod"]

    @pytest.mark.parametrize("marked", [False, True])
    def test_is_left_to_that_while_what_was_there_is_destroyed(self, marked: bool) -> None:
        """It counts as initialised still, and a master may be among what is gone."""
        with pytest.raises(ConfigError, match="may be destroyed in part: run restore --abandon-old"):
            planned(without("m-prod-2"), abandoning=True, marked=marked)

    def test_that_lives_though_it_was_to_be_destroyed_gets_what_it_lacks(self) -> None:
        """`restore` refuses it, and says so."""
        plan = planned(without("w-prod-2"), LIVES, abandoning=True, answers=True)
        assert "create w-prod-2" in keys(plan)
        assert not any(isinstance(action, ForgetNodes) for action in plan.actions)  # it has never been restored

    def test_forgets_nobody_while_no_master_answers_nor_once_it_has(self) -> None:
        silent = replace(LIVES, masters=())
        assert keys(planned(WHOLE, silent, restoring=True)) == keys(planned(WHOLE, LIVES, answers=True)) == []


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

    def test_waiting_awaits_that_the_masters_are_ready(self) -> None:
        (ready,) = (it for it in planned(wait=True).actions if isinstance(it, AwaitMasters))
        assert ready.after == {"create m-prod-1", "create m-prod-2", "create m-prod-3"}
        assert not any(isinstance(it, AwaitMasters) for it in planned().actions)

    def test_a_target_that_arranges_nothing_is_not_asked_to(self) -> None:
        assert "arrange prod" not in keys(planned(arranges=False))


class TestADiscoveryServiceThatIsNotTheClustersOwn:
    def test_is_refused_where_the_cluster_has_a_machine_for_it(self) -> None:
        with pytest.raises(ConfigError, match=r"consul-prod: name no other service.* --node consul-prod"):
            planned(WHOLE, LIVES, desired=desire(server=False))

    def test_is_refused_where_that_would_be_the_masters(self) -> None:
        """Without the command that takes away what the cluster's machines know."""
        desired = desire(server=False)
        desired = replace(desired, cluster=replace(desired.cluster, discovery_on_masters=True))
        with pytest.raises(ConfigError, match="take out what makes its masters the service") as raised:
            planned(WHOLE, LIVES, desired=desired)
        assert "destroy" not in str(raised.value)

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

    def test_awaits_machines_that_have_no_address_yet(self) -> None:
        vms = (*without("w-prod-1"), vm("w-prod-1", Role.WORKER, addresses=()))
        plan = planned(vms, LIVES)
        assert [(action.mark, action.key) for action in plan.actions] == [("=", "arrange prod"), (".", "await w-prod-1")]

    def test_that_waits_for_boots_that_have_finished_awaits_nothing(self) -> None:
        vms = tuple(replace(machine, status=FINISHED, scrubbed=True) for machine in WHOLE)
        assert [action.key for action in planned(vms, LIVES, wait=True).actions] == ["arrange prod"]

    def test_makes_no_machine_before_the_discovery_machine_has_an_address(self) -> None:
        plan = planned((vm("consul-prod", Role.DISCOVERY, addresses=()), *without("consul-prod", "w-prod-1")))
        assert action(plan, "create w-prod-1").after == {"await consul-prod"}

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
        assert note.endswith("kube-provision why w-prod-1 --name prod")


class TestALivingCluster:
    def test_gets_fresh_secrets_before_its_first_new_machine(self) -> None:
        plan = planned(WHOLE, LIVES, desired=desire(workers=4))
        assert keys(plan) == ["mint prod", "create w-prod-3", "create w-prod-4", "arrange prod"]
        assert action(plan, "create w-prod-3").after == {"mint prod"}

    def test_never_gives_the_authorities_away_again(self) -> None:
        assert carriers(planned(without("m-prod-1"), LIVES)) == []

    def test_is_known_by_its_mark_when_discovery_has_lost_the_record(self) -> None:
        assert carriers(planned(without("m-prod-1"), ABSENT, marked=True)) == []

    def test_renews_the_key_of_the_certificates_once_all_masters_have_joined(self) -> None:
        masters = tuple(ClusterNode(f"m-prod-{index}", True, ("control-plane",), None) for index in (2, 3))
        finished = tuple(replace(machine, status=FINISHED) for machine in without("m-prod-1"))
        for nodes, vms, renewed in (
            (masters, finished, True),
            (masters[:1], finished, False),
            (masters, without("m-prod-1"), False),
        ):
            (mint,) = (it for it in planned(vms, LIVES, living=Living(nodes)).actions if isinstance(it, MintSecrets))
            assert (mint.masters, mint.renew) == (True, renewed)

    def test_may_live_where_a_master_says_so_and_nobody_can_be_asked(self) -> None:
        with pytest.raises(ControlPlaneError, match=r"cannot know .*: m-prod-2 told it\. Nothing was changed"):
            planned(without("m-prod-1"), ABSENT, doubt="m-prod-2 told it")

    def test_loses_the_dead_masters_member_before_the_new_one_is_created(self) -> None:
        living = Living(
            (ClusterNode("m-prod-1", False, ("control-plane",), "10.0.0.8"),),
            (EtcdMember("7", "m-prod-1", ("https://10.0.0.8:2380",)),),
        )
        plan = planned(without("m-prod-1"), LIVES, living=living)
        gone = ["remove-member m-prod-1", "delete-node m-prod-1"]
        assert keys(plan) == [*gone, "mint prod", "create m-prod-1", "arrange prod"]
        assert action(plan, "create m-prod-1").after >= set(gone)

    def test_asks_etcd_nothing_about_a_worker_that_is_gone(self) -> None:
        living = Living((ClusterNode("w-prod-1", False, (), "10.0.0.8"),))
        found = keys(planned(without("w-prod-1"), LIVES, living=living))
        assert "delete-node w-prod-1" in found
        assert "remove-member w-prod-1" not in found

    def test_loses_a_learner_that_never_started_and_whose_machine_is_gone(self) -> None:
        living = Living((), (EtcdMember("9", "", ("https://10.9.9.9:2380",), learner=True),))
        assert "remove-member etcd-9" in keys(planned(without("m-prod-1"), LIVES, living=living))

    def test_refuses_new_machines_while_discovery_does_not_answer(self) -> None:
        with pytest.raises(DiscoveryError, match=r"refuses.*nothing was changed"):
            planned(WHOLE, error="10.0.0.1:8500 refuses", marked=True, desired=desire(workers=3))

    def test_refuses_them_as_bad_input_where_discovery_is_configured_wrongly(self) -> None:
        class Misconfigured(ConfigError, DiscoveryError): ...

        with pytest.raises(ConfigError, match=r"does not resolve.*nothing was changed"):
            planned(WHOLE, error="it does not resolve", fault=Misconfigured, marked=True, desired=desire(workers=3))


class TestTheVersionOfALivingCluster:
    MORE = desire(workers=3)

    @pytest.mark.parametrize(("wanted", "running"), [("1.36", "1.35.9"), ("1.36", "1.37.0"), ("1.36.4", "1.36.2")])
    def test_is_that_of_new_machines_whatever_is_configured_and_that_is_said(self, wanted: str, running: str) -> None:
        desired = replace(self.MORE, cluster=replace(self.MORE.cluster, kubernetes_version=wanted))
        plan = planned(WHOLE, LIVES, desired=desired, living=Living(version=running))
        create = action(plan, "create w-prod-3")
        assert isinstance(create, CreateVm)
        assert create.joins(desired.cluster).kubernetes_version == running
        assert create.details["version"] == running
        (note,) = plan.notes
        assert note.startswith(
            f"new machines get Kubernetes {running}: kubernetes_version is {wanted}, and cluster prod runs {running}; "
        )

    @pytest.mark.parametrize("running", ["1.36.2", ""])
    def test_may_be_any_patch_where_only_a_minor_is_asked_for(self, running: str) -> None:
        plan = planned(WHOLE, LIVES, desired=self.MORE, living=Living(version=running))
        create = action(plan, "create w-prod-3")
        assert isinstance(create, CreateVm)
        assert create.joins(self.MORE.cluster) == self.MORE.cluster
        assert "version" not in create.details
        assert plan.notes == ()

    @pytest.mark.parametrize("running", ["1.34.9", "1.99.0"])
    def test_is_one_that_machines_can_be_made_for_or_they_are_refused(self, running: str) -> None:
        with pytest.raises(
            ConfigError, match=rf"runs Kubernetes {running}, and .* makes machines for .*1\.37 alone: it can add"
        ):
            planned(WHOLE, LIVES, desired=self.MORE, living=Living(version=running))

    def test_keep_the_port_that_the_cluster_was_made_with(self) -> None:
        ours, other = (KubeadmConfiguration(f"controlPlaneEndpoint: localhost:{port}") for port in (8443, 7443))
        assert planned(WHOLE, LIVES, desired=self.MORE, living=Living(kubeadm=ours)).actions
        with pytest.raises(ConfigError, match=r"own port 7443, and new machines would listen on 8443\. Set it to 7443"):
            planned(WHOLE, LIVES, desired=self.MORE, living=Living(kubeadm=other))

    @pytest.mark.parametrize(("key", "ours"), [("pod", "10.244.0.0/16"), ("service", "10.96.0.0/12")])
    def test_keep_the_networks_that_the_cluster_was_made_with(self, key: str, ours: str) -> None:
        kept = KubeadmConfiguration(f"networking: {{{key}Subnet: {ours}}}")
        assert planned(WHOLE, LIVES, desired=self.MORE, living=Living(kubeadm=kept)).actions
        other = KubeadmConfiguration(f"networking: {{{key}Subnet: '{ours},fd00::/112'}}")
        with pytest.raises(
            ConfigError, match=rf"^{key}_subnet: .* new machines would have {ours}\. Set it to {ours},fd00::"
        ):
            planned(WHOLE, LIVES, desired=self.MORE, living=Living(kubeadm=other))

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


def test_a_machine_that_is_started_again_after_its_boot_is_awaited_and_scrubbed_once() -> None:
    """What it said stands, and its boot data may have gone already."""
    finished = NodeStatus(Stage.FINISH, "done")
    stopped = vm("w-prod-2", Role.WORKER, power=Power.OFF, status=finished)
    plan = planned((*without("w-prod-2"), stopped), LIVES, wait=True)
    about = [action.key for action in plan.actions if action.subject == "w-prod-2"]
    assert about == ["start w-prod-2", "boot w-prod-2", "scrub w-prod-2"]


class TestSeveralDiscoveryMachines:
    """Of which one may be lost."""

    def planned(self, *vms: Vm, discovery: Discovery | None = LIVES, **more: object) -> Plan:
        return planned(vms, discovery, desired=desire(servers=3), **more)  # type: ignore[arg-type]

    def servers(self, **more: object) -> tuple[Vm, ...]:
        return tuple(
            vm(name, Role.DISCOVERY, **{"addresses": (f"10.0.1.{number}",), "status": FINISHED, "scrubbed": True, **more})
            for number, name in enumerate(SERVERS)
        )

    def after(self, plan: Plan, key: str) -> set[str]:
        return {it for it in action(plan, key).after if "consul" in it}

    def test_the_first_comes_before_the_others_and_all_before_the_cluster(self) -> None:
        plan = self.planned(discovery=None)
        assert self.after(plan, "create consul-prod") == set()
        for name in SERVERS[1:]:
            assert self.after(plan, f"create {name}") == {"create consul-prod", "await consul-prod"}
        assert self.after(plan, "create m-prod-1") == {f"{verb} {name}" for verb in ("create", "await") for name in SERVERS}

    def test_one_that_is_lost_is_made_anew_and_nothing_waits_for_it(self) -> None:
        first, _, third = self.servers()
        plan = self.planned(first, third, *without("consul-prod", "w-prod-2"))
        assert {"create consul-prod-2", "create w-prod-2"} <= {*keys(plan)}
        assert self.after(plan, "create consul-prod-2") == self.after(plan, "create w-prod-2") == set()

    def test_the_first_one_too(self) -> None:
        plan = self.planned(*self.servers()[1:], *without("consul-prod"))
        assert keys(plan) == ["create consul-prod", "arrange prod"]
        assert plan.notes == ()

    def test_one_that_does_not_run_is_started_and_nothing_waits_for_it(self) -> None:
        first, second, third = self.servers()
        plan = self.planned(replace(first, power=Power.OFF), second, third, *without("consul-prod", "w-prod-2"))
        assert "start consul-prod" in keys(plan)
        assert self.after(plan, "create w-prod-2") == set()

    def test_where_none_runs_all_are_started_before_the_cluster_goes_on(self) -> None:
        plan = self.planned(*self.servers(power=Power.OFF), *without("consul-prod", "w-prod-2"))
        assert self.after(plan, "create w-prod-2") == {f"{verb} {name}" for verb in ("start", "await") for name in SERVERS}

    def test_where_none_tells_an_address_all_are_waited_for(self) -> None:
        plan = self.planned(*self.servers(addresses=()), *without("consul-prod", "w-prod-2"))
        assert self.after(plan, "create w-prod-2") == {f"await {name}" for name in SERVERS}

    def test_one_becomes_three(self) -> None:
        plan = self.planned(*WHOLE)
        assert keys(plan) == ["create consul-prod-2", "create consul-prod-3", "arrange prod"]

    def test_three_do_not_become_one(self) -> None:
        with pytest.raises(
            ConfigError, match=r"has consul-prod-2, consul-prod-3 for discovery, and 1 .* their number grows"
        ):
            planned((*self.servers(), *without("consul-prod")), LIVES, desired=desire())

    def test_nor_does_one_take_the_place_of_another_that_is_left_of_three(self) -> None:
        """It would found a second cluster of servers beside what that one knows."""
        left = replace(self.servers()[1], power=Power.OFF, addresses=())
        with pytest.raises(ConfigError, match=r"has consul-prod-2 for discovery, and 1 .* their number grows"):
            planned((left, *without("consul-prod")), None, desired=desire())

    def test_without_a_quorum_the_rest_is_to_go_too(self) -> None:
        left = self.servers()[1]
        with pytest.raises(
            DiscoveryError, match=r"consul-prod-2 .* does not answer \(no leader\), and 2 of its 3 .*$"
        ) as told:
            self.planned(left, *without("consul-prod"), discovery=None, error="no leader")
        assert "are still to be made" not in str(told.value)
        assert str(told.value).endswith("destroy --name prod --node consul-prod-2")

    def test_nor_is_it_there_where_the_only_one_that_works_is_off_and_the_others_wait_for_it(self) -> None:
        first, second, third = self.servers()
        waiting = [replace(it, status=None) for it in (first, third)]
        with pytest.raises(DiscoveryError, match=r"consul-prod-2 of cluster prod does not answer, and 2 of its 3"):
            self.planned(replace(second, power=Power.OFF), *waiting, *without("consul-prod"), discovery=None)

    def test_one_that_is_to_become_three_and_is_silent_is_not_said_to_be_what_is_left(self) -> None:
        with pytest.raises(DiscoveryError, match=r"If they are still to be made, see to it that this one runs and answers"):
            self.planned(self.servers()[0], *without("consul-prod"), discovery=None, error="refused")

    def test_what_has_not_founded_anything_yet_is_gone_on_with(self) -> None:
        """A run was broken off once it had made the first."""
        first = replace(self.servers()[0], status=None)
        plan = self.planned(first, discovery=None, error="it has not finished its boot")
        assert keys(plan)[:2] == ["create consul-prod-2", "create consul-prod-3"]


class TestAPool:
    """Of workers, which is a role of its own."""

    GPU = Role.of_pool("gpu")

    def desired(self, count: int) -> Desired:
        pool = tuple(node(f"gpu-prod-{index}", self.GPU) for index in range(1, count + 1))
        plain = desire()
        cluster = replace(plain.cluster, names=plain.cluster.names | {it.name for it in pool})
        return replace(plain, cluster=cluster, workers=(*plain.workers, *pool))

    def test_that_is_named_is_made_beside_the_workers(self) -> None:
        made = planned(WHOLE, LIVES, desired=self.desired(2))
        created = [it.node for it in made.actions if isinstance(it, CreateVm)]
        assert [(it.name, it.role) for it in created] == [("gpu-prod-1", self.GPU), ("gpu-prod-2", self.GPU)]

    def test_that_grows_gets_what_is_missing(self) -> None:
        made = planned((*WHOLE, vm("gpu-prod-1", self.GPU)), LIVES, desired=self.desired(2))
        assert [it.node.name for it in made.actions if isinstance(it, CreateVm)] == ["gpu-prod-2"]

    @pytest.mark.parametrize("left", [0, 1])
    def test_that_shrinks_or_is_no_longer_named_has_machines_too_many(self, left: int) -> None:
        vms = (*WHOLE, vm("gpu-prod-1", self.GPU), vm("gpu-prod-2", self.GPU))
        with pytest.raises(ConfigError, match=f"has {2 - left} more machine.*To remove them: .* --node gpu-prod-2"):
            planned(vms, LIVES, desired=self.desired(left))

    @pytest.mark.parametrize(("name", "made"), [("w-prod-2", "worker-gpu"), ("w-prod-2", "master"), ("m-prod-3", "worker")])
    def test_a_machine_is_never_taken_for_one_of_another_role(self, name: str, made: str) -> None:
        with pytest.raises(ConfigError, match=f"{name}: was made as {made}, and the configuration asks for a "):
            planned((*without(name), vm(name, Role(made))), LIVES)
