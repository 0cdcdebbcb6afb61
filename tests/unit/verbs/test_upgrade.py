"""The planner of `upgrade`: what is done to whom, in which order, what is left out, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from doubles.facts import GivenFacts

from kube_provision_core.cluster import Living
from kube_provision_core.cluster.advice import Remedies
from kube_provision_core.cluster.backups import LastBackup
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.desired import Desired
from kube_provision_core.cluster.etcd import EtcdMember, EtcdQuorum
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.cluster.settings import Setting
from kube_provision_core.cluster.versions import CONTROL_PLANE, StaticPod
from kube_provision_core.config.core import CoreConfig
from kube_provision_core.config.specification import OTHER, Change
from kube_provision_core.contract.boot import Stage, Step
from kube_provision_core.contract.errors import ConfigError, DiscoveryError, PluginError
from kube_provision_core.contract.machines import Cluster, Discovery, Machine, Node, Power, Role, Stamp, Vm
from kube_provision_core.contract.packages import Packages
from kube_provision_core.contract.templates import Baked, Template
from kube_provision_core.engine.facts import Known, Unknown
from kube_provision_core.engine.plan import Action, Plan
from kube_provision_core.engine.verb import Options
from kube_provision_core.engine.wish import Rolling
from kube_provision_core.verbs.upgrade import UPGRADE

OLD, NEW, NEXT = "1.36.2", "1.36.4", "1.37.1"
MASTERS = ("m-prod-1", "m-prod-2", "m-prod-3")
WORKERS = ("w-prod-1", "w-prod-2", "w-prod-3", "w-prod-4")
ALL = (*MASTERS, *WORKERS)


def role_of(name: str) -> Role:
    return Role.MASTER if name[0] == "m" else Role.WORKER


def vm(name: str, **more: Any) -> Vm:
    stamp = Stamp("prod", "id-1", role_of(name), "spec", instance="5f0c")
    return replace(Vm(name, f"id of {name}", Power.ON, stamp, (f"10.0.0.{ALL.index(name)}",)), **more)


def node(name: str) -> Node:
    return Node(name, role_of(name), int(name[-1]), Machine(2, 4), Stamp("prod", "id-1", role_of(name), "spec"))


def known(name: str, kubelet: str = OLD, **more: Any) -> ClusterNode:
    roles = ("control-plane",) if name[0] == "m" else ()
    return replace(ClusterNode(name, True, roles, "10.0.0.5", kubelet=kubelet), **more)


def runs(version: str, *, ready: bool = True) -> tuple[StaticPod, ...]:
    return tuple(StaticPod(name, version, ready) for name in CONTROL_PLANE)


def desired(*names: str, version: str = NEW) -> Desired:
    masters, workers = ([node(name) for name in names or ALL if name[0] == kind] for kind in "mw")
    cluster = Cluster("prod", "id-1", version, frozenset(names or ALL), discovery_address="10.0.0.11")
    return Desired(cluster, tuple(masters), tuple(workers), (), Remedies("prod"))


def packages(component: str, version: str) -> Packages:
    step = Step("packages", Stage.INSTALL, f"install {component} {version}")
    return Packages((f"{component}-{version}",), steps=(step,))


def last_backup(hours: int) -> LastBackup:
    """Made so many hours ago."""
    return LastBackup(datetime.now(UTC) - timedelta(hours=hours), 42, 1000, "prod.age")


class Site:
    """A cluster of these machines, all of it at the old version, until a test says otherwise."""

    def __init__(self, *names: str, cluster: str = OLD) -> None:
        self.names = names or ALL
        self.cluster = cluster
        self.nodes = {name: known(name) for name in self.names}
        self.masters: dict[str, Sequence[StaticPod]] = {name: runs(OLD) for name in self.names if name[0] == "m"}
        self.vms = {name: vm(name) for name in self.names}
        self.silent: set[str] = set()
        self.removed: tuple[str, ...] = ()
        self.unread: tuple[Setting, ...] = ()
        self.facts: dict[str, Any] = {}

    def at(self, version: str, *names: str, **more: Any) -> Site:
        """These have been upgraded."""
        for name in names:
            self.nodes[name] = known(name, version, **more)
            if name[0] == "m":
                self.masters[name] = runs(version)
        return self

    @property
    def living(self) -> Living:
        members = tuple(EtcdMember(name, name, ()) for name in self.masters)
        quorum = EtcdQuorum(members, {name: members[0].id for name in self.masters if name not in self.silent})
        return Living(tuple(self.nodes.values()), members, self.cluster, quorum=quorum)

    def plan(self, version: str = NEW, *, discovery: bool = True, asked: Sequence[str] = (), **options: Any) -> Plan:
        wanted = desired(*(asked or self.names), version=version)
        seen = Observation(wanted.cluster, tuple(self.vms.values()), Discovery(True) if discovery else None)
        given: Mapping[str, object] = {
            "initialised": Known(True),
            "members": Known(self.living),
            "control_planes": lambda: self.masters,
            "removed_apis": lambda version: self.removed,
            "unread_settings": lambda: self.unread,
            "packages": packages,
            "templates": Unknown(PluginError("the target knows no templates")),
            "upgrade_packages": lambda: (Step("packages", Stage.INSTALL, "install all that is new"),),
            "core": lambda role: CoreConfig(name="prod", target="memory", os="memory"),
        }
        facts = GivenFacts(seen, **(dict(given) | self.facts))
        made = UPGRADE.plan(wanted, facts, Options(wait=True, **{"backup": False, **options}))
        done: set[str] = set()
        for action in made.actions:
            assert action.reason or action.mark == ".", action.key
            assert action.after <= done, action.key
            assert action.key not in done
            done.add(action.key)
        return made

    def refusal(self, version: str = NEW, **more: Any) -> str:
        return str(self.error(version, **more))

    def error(self, version: str = NEW, **more: Any) -> ConfigError | DiscoveryError:
        with pytest.raises((ConfigError, DiscoveryError)) as raised:
            self.plan(version, **more)
        return raised.value


@pytest.fixture
def site() -> Site:
    return Site()


def keys(made: Plan, *verbs: str) -> list[str]:
    return [action.key for action in made.actions if not verbs or action.verb in verbs]


def action(made: Plan, key: str) -> Any:
    return next(it for it in made.actions if it.key == key)


def given(task: str, name: str) -> list[str]:
    return [f"give-{task} {name}", f"{task} {name}", f"clear-{task} {name}"]


def of(made: Plan, name: str) -> list[str]:
    """What is done about one node once its turn has come."""
    return [it.key for it in made.actions if it.subject == name and "prepare" not in it.key]


def prepared(made: Plan, name: str) -> str:
    """What it is given before any turn."""
    return str(action(made, f"give-prepare-upgrade {name}").task.content)


class TestBeforeAnyTurn:
    def test_the_first_master_is_prepared_alone_and_all_others_side_by_side(self, site: Site) -> None:
        made = site.plan()
        assert keys(made, "prepare-upgrade") == [f"prepare-upgrade {name}" for name in ALL]
        assert action(made, "give-prepare-upgrade m-prod-1").after == frozenset()
        first = set(given("prepare-upgrade", "m-prod-1"))
        assert {frozenset(action(made, f"give-prepare-upgrade {name}").after) for name in ALL[1:]} == {frozenset(first)}

    def test_all_are_prepared(self, site: Site) -> None:
        made = site.plan()
        prepared = {key for name in ALL for key in given("prepare-upgrade", name)}
        assert action(made, "give-upgrade m-prod-1").after == prepared

    def test_kubeadm_comes_without_the_kubelet(self, site: Site) -> None:
        made = site.plan()
        script = str(action(made, "give-prepare-upgrade w-prod-1").task.content)
        assert f"install kubeadm-alone {NEW}" in script
        assert f"install kubeadm {NEW}" in str(action(made, "give-upgrade-kubelet w-prod-1").task.content)

    def test_what_a_run_that_was_broken_off_has_left_is_taken_away(self, site: Site) -> None:
        site.vms["w-prod-2"] = vm("w-prod-2", task="a task")
        made = site.plan()
        assert keys(made)[0] == "clear-task w-prod-2"
        assert action(made, "give-prepare-upgrade m-prod-1").after == {"clear-task w-prod-2"}

    def test_masters_ask_the_new_programs_for_what_nobody_else_can_read(self, site: Site) -> None:
        site.unread = (Setting("kube-scheduler --v", "kube-scheduler", "--v=4", "a place"),)
        made = site.plan()
        asked = {name: "takes kube-scheduler --v=4 " in prepared(made, name) for name in ALL}
        assert asked == {name: name in MASTERS for name in ALL}

    def test_masters_ask_them_for_gates_that_lie_on_the_nodes_too(self, site: Site) -> None:
        kubelets = {Role.MASTER: {"Both": True}, Role.WORKER: {"Both": True, "Workers": False}}

        def core(role: Role) -> CoreConfig:
            kubelet = {"featureGates": kubelets[role]} if role in kubelets else {}
            return CoreConfig(name="prod", target="memory", os="memory", kubelet=kubelet)

        site.facts["core"] = core
        script = prepared(site.plan(), "m-prod-1")
        for gate in ("Both=true", "Workers=false"):
            assert script.count(f"takes kube-apiserver --feature-gates={gate} ") == 1
        assert "the key `kubelet`, and of /etc/kubernetes/kubelet.conf.d on nodes that have it" in script

    def test_nobody_asks_them_once_the_cluster_has_its_settings_at_the_version(self) -> None:
        site = Site(cluster=NEW).at(NEW, "m-prod-1")
        site.unread = (Setting("kube-scheduler --v", "kube-scheduler", "--v=4", "a place"),)
        assert "--v=4" not in prepared(site.plan(), "m-prod-2")


class TestATurn:
    def test_of_a_master_upgrades_its_control_plane_and_then_without_pods_its_kubelet(self, site: Site) -> None:
        made = site.plan()
        steps = [
            *given("upgrade", "m-prod-2"),
            *("cordon m-prod-2", "drain m-prod-2"),
            *given("upgrade-kubelet", "m-prod-2"),
            *("settle m-prod-2", "uncordon m-prod-2"),
        ]
        assert of(made, "m-prod-2") == steps
        assert action(made, "cordon m-prod-2").after == set(given("upgrade", "m-prod-2"))
        for before, after in pairwise(["cordon m-prod-2", "drain m-prod-2", "give-upgrade-kubelet m-prod-2"]):
            assert action(made, after).after == {before}
        assert action(made, "settle m-prod-2").version == NEW
        assert action(made, "uncordon m-prod-2").after == {"settle m-prod-2"}

    def test_of_a_worker_is_one_task(self, site: Site) -> None:
        assert of(site.plan(), "w-prod-1") == [
            *("cordon w-prod-1", "drain w-prod-1"),
            *given("upgrade-kubelet", "w-prod-1"),
            *("settle w-prod-1", "uncordon w-prod-1"),
        ]

    def test_of_the_first_master_brings_the_clusters_settings_and_no_other_does(self, site: Site) -> None:
        made = site.plan()
        scripts = [str(action(made, f"give-upgrade {name}").task.steps[-1].file.content) for name in MASTERS]
        assert [f"apply {NEW}" in script for script in scripts] == [True, False, False]
        assert all(f"node {NEW}" in script for script in scripts[1:])

    def test_without_draining_goes_on_under_the_pods(self, site: Site) -> None:
        assert of(site.plan(draining=None), "w-prod-1") == [*given("upgrade-kubelet", "w-prod-1"), "settle w-prod-1"]

    def test_ends_when_the_node_has_stayed_ready(self, site: Site) -> None:
        assert action(site.plan(rolling=Rolling(burn_in=90)), "settle m-prod-1").seconds == 90

    def test_of_the_only_node_drains_nothing(self) -> None:
        made = Site("m-prod-1").plan()
        steps = [*given("upgrade", "m-prod-1"), *given("upgrade-kubelet", "m-prod-1"), "settle m-prod-1"]
        assert of(made, "m-prod-1") == steps
        assert any("m-prod-1 is the only node, and is not drained" in note for note in made.notes)


class TestTurns:
    def test_of_masters_come_one_by_one_and_before_those_of_workers(self, site: Site) -> None:
        made = site.plan(rolling=Rolling("2"))
        assert action(made, "give-upgrade m-prod-2").after == {"uncordon m-prod-1"}
        assert action(made, "give-upgrade m-prod-3").after == {"uncordon m-prod-2"}
        assert action(made, "addons prod").after == {"uncordon m-prod-3"}
        begins = {name: action(made, f"cordon {name}").after for name in WORKERS}
        assert begins == {
            "w-prod-1": {"addons prod"},
            "w-prod-2": {"addons prod"},
            "w-prod-3": {"uncordon w-prod-1"},
            "w-prod-4": {"uncordon w-prod-2"},
        }

    def test_have_pauses_between_them_and_a_time_after_which_none_begins(self, site: Site) -> None:
        made = site.plan(rolling=Rolling(pause=30, until=1e10))
        pauses = {name: action(made, f"pause {name}") for name in ALL}
        assert [pause.seconds for pause in pauses.values()] == [0, *[30] * (len(ALL) - 1)]
        assert {pause.until for pause in pauses.values()} == {1e10}
        assert action(made, "give-upgrade m-prod-1").after == {"pause m-prod-1"}


class TestWhatIsThereAlready:
    def test_is_left_out(self) -> None:
        site = Site(cluster=NEW).at(NEW, "m-prod-1", "w-prod-2")
        made = site.plan()
        assert not of(made, "m-prod-1")
        assert not of(made, "w-prod-2")
        assert keys(made, "upgrade") == ["upgrade m-prod-2", "upgrade m-prod-3"]
        assert keys(made, "prepare-upgrade")[0] == "prepare-upgrade m-prod-2"
        assert "apply" not in str(action(made, "give-upgrade m-prod-2").task.steps[-1].file.content)

    def test_may_be_all(self) -> None:
        made = Site(cluster=NEW).at(NEW, *ALL).plan(backup=True)
        assert (made.actions, made.notes) == ((), (f"every node that was asked for is at {NEW}",))

    def test_may_be_all_but_for_a_task_that_was_not_taken_away(self) -> None:
        site = Site(cluster=NEW).at(NEW, *ALL)
        site.vms["w-prod-2"] = vm("w-prod-2", task="a task")
        assert keys(site.plan()) == ["clear-task w-prod-2"]

    @pytest.mark.parametrize("cluster", [OLD, NEW])
    def test_makes_the_master_where_it_was_broken_off_the_first_and_applies_once_more(self, cluster: str) -> None:
        site = Site(cluster=cluster)
        site.masters["m-prod-2"] = (StaticPod("kube-apiserver", NEW, True), *runs(OLD)[1:])
        made = site.plan()
        assert keys(made, "upgrade") == ["upgrade m-prod-2", "upgrade m-prod-1", "upgrade m-prod-3"]
        assert f"apply {NEW}" in str(action(made, "give-upgrade m-prod-2").task.steps[-1].file.content)

    def test_is_no_master_whose_parts_are_not_ready(self) -> None:
        site = Site(cluster=NEW).at(NEW, *MASTERS)
        site.masters["m-prod-2"] = runs(NEW, ready=False)
        assert keys(site.plan(), "upgrade") == ["upgrade m-prod-2"]

    def test_leaves_the_workers_once_what_the_masters_brought_is_rolled_out(self) -> None:
        made = Site(cluster=NEW).at(NEW, *MASTERS).plan()
        prepared = {key for name in WORKERS for key in given("prepare-upgrade", name)}
        assert action(made, "addons prod").after == prepared
        assert action(made, "cordon w-prod-1").after == {"addons prod"}

    def test_gives_back_a_node_that_we_had_cordoned(self) -> None:
        site = Site(cluster=NEW).at(NEW, *ALL).at(NEW, "w-prod-3", schedulable=False, cordoned=True)
        assert of(site.plan(), "w-prod-3") == ["settle w-prod-3", "uncordon w-prod-3"]

    def test_does_not_keep_the_clusters_settings_behind(self) -> None:
        """Another tool has brought the nodes there."""
        made = Site(cluster=OLD).at(NEW, *ALL).plan()
        assert keys(made, "upgrade") == ["upgrade m-prod-1"]
        assert keys(made, "prepare-upgrade") == ["prepare-upgrade m-prod-1"]


class TestOneRoleAlone:
    def test_masters(self, site: Site) -> None:
        made = site.plan(only="master")
        assert keys(made, "settle") == [f"settle {name}" for name in MASTERS]
        assert keys(made, "prepare-upgrade") == [f"prepare-upgrade {name}" for name in MASTERS]

    def test_workers_once_all_masters_are_there(self) -> None:
        made = Site(cluster=NEW).at(NEW, *MASTERS).plan(only="worker")
        assert keys(made, "settle") == [f"settle {name}" for name in WORKERS]

    @pytest.mark.parametrize(
        ("there", "cluster", "what"),
        [
            (MASTERS[:1], NEW, "m-prod-2, m-prod-3 are not at 1.36.4 yet"),
            (MASTERS[:2], NEW, "m-prod-3 is not at 1.36.4 yet"),
            (MASTERS, OLD, "the cluster is not at 1.36.4 yet"),
        ],
    )
    def test_workers_never_come_first(self, there: Sequence[str], cluster: str, what: str) -> None:
        refusal = Site(cluster=cluster).at(NEW, *there).refusal(only="worker")
        assert refusal == f"workers come after all masters, and {what}: upgrade without --workers-only or --pool"


class TestIsSaid:
    def test_that_few_masters_cannot_spare_one(self) -> None:
        notes = Site("m-prod-1", "m-prod-2", "w-prod-1").plan().notes
        assert any(note.startswith("of 2 master(s) none can be spared") for note in notes)

    def test_that_etcd_does_not_go_back(self, site: Site) -> None:
        (note,) = site.plan(NEXT).notes
        assert note.startswith("1.37 may bring another minor of etcd")
        assert site.plan(NEW).notes == ()

    def test_what_stays_cordoned_and_what_is_no_machine_of_ours(self, site: Site) -> None:
        site.nodes["w-prod-1"] = known("w-prod-1", schedulable=False)
        site.nodes["w-other"] = known("w-other")
        assert site.plan().notes == (
            "w-prod-1: cordoned by somebody else, and left so",
            "w-other: no machine of this cluster's, and left as it is",
        )

    def test_which_templates_hold_another_kubernetes(self, site: Site) -> None:
        packages = {"a": OLD, "b": NEW, "c": f"{NEW}1"}
        baked = {name: Baked("spec", "2026-11-29", versions={"kubeadm": f"{it}-1.1"}) for name, it in packages.items()}
        templates = [Template(name, frozenset(Role), baked=it) for name, it in baked.items()]
        site.facts["templates"] = Known((*templates, Template("d", frozenset(Role))))
        first, second = site.plan().notes
        assert first.startswith(f"template a holds kubeadm {OLD}-1.1: bake it with {NEW} before machines are added: ")
        assert second.startswith("template c ")


class TestRefused:
    def test_is_a_minor_alone(self, site: Site) -> None:
        assert site.refusal("1.37").startswith("kubernetes_version: 1.37 is no exact version, which an upgrade needs")

    def test_is_a_cluster_that_does_not_live(self, site: Site) -> None:
        site.facts["initialised"] = Known(False)
        assert "is not initialised, and has nothing to upgrade" in site.refusal()

    def test_are_more_machines_than_are_asked_for(self, site: Site) -> None:
        assert "1 more machine(s) than asked for: w-prod-4" in site.refusal(asked=ALL[:-1])

    @pytest.mark.parametrize(
        ("cluster", "version", "why"),
        [
            ("1.36.5", NEW, "runs 1.36.5, and Kubernetes does not go back to 1.36.4"),
            ("1.37.0", NEW, "runs 1.37.0, and Kubernetes does not go back to 1.36.4"),
            ("1.35.9", NEXT, "minors come one after another: upgrade it to a patch of 1.36 first, and then to 1.37.1"),
            ("1.36.2", "2.0.0", "minors come one after another"),
            ("1.37.0-rc.1", NEXT, "which is no release"),
        ],
    )
    def test_is_a_way_that_kubernetes_does_not_go(self, cluster: str, version: str, why: str) -> None:
        assert why in Site(cluster=cluster).refusal(version)

    def test_is_a_cluster_whose_nodes_are_not_well_with_all_that_is_wrong(self, site: Site) -> None:
        site.vms["w-prod-1"] = vm("w-prod-1", power=Power.OFF)
        del site.nodes["w-prod-2"]
        site.nodes["w-prod-3"] = known("w-prod-3", ready=False, message="it has no network")
        site.nodes["m-prod-1"] = known("m-prod-1", ready=False)
        first, second, third, fourth = site.refusal().splitlines()
        assert first.startswith("m-prod-1 is not Ready: Kubernetes does not say why")
        assert second == "w-prod-1 does not run: start it, which kube-provision provision --name prod does"
        assert third.startswith("w-prod-2 is no node of the cluster yet")
        assert fourth.startswith("w-prod-3 is not Ready: it has no network")

    def test_another_time_is_no_refusal_where_nodes_are_only_not_ready_yet(self, site: Site) -> None:
        site.nodes["w-prod-3"] = known("w-prod-3", ready=False)
        assert site.error().retryable
        site.vms["w-prod-1"] = vm("w-prod-1", power=Power.OFF)
        assert not site.error().retryable

    @pytest.mark.parametrize(
        ("kubelet", "why"),
        [
            (
                "1.36.5",
                "its kubelet is at 1.36.5, and Kubernetes does not go back to 1.36.4: another tool has upgraded it, or it "
                "was made with the newest patch of its minor",
            ),
            ("1.34.9", "its kubelet is at 1.34.9, and would skip a minor: upgrade to a patch of the next one first"),
            ("1.36.2+vendor", "its kubelet is at 1.36.2+vendor, which is no release"),
            ("", "its kubelet is at a version that it does not tell, which is no release"),
        ],
    )
    def test_is_a_node_that_is_not_on_the_way(self, site: Site, kubelet: str, why: str) -> None:
        site.nodes["w-prod-2"] = known("w-prod-2", kubelet)
        assert site.refusal() == f"w-prod-2: {why}"

    def test_is_a_control_plane_that_is_not_on_the_way(self, site: Site) -> None:
        site.masters["m-prod-2"] = (*runs(OLD)[:2], StaticPod("kube-scheduler", "1.36.9", True))
        assert site.refusal().startswith("m-prod-2: its kube-scheduler is at 1.36.9, and Kubernetes does not go back to")

    def test_is_a_cluster_whose_discovery_does_not_answer(self, site: Site) -> None:
        assert site.refusal(discovery=False).startswith("there is no discovery service. Masters leave its list")

    def test_is_a_machine_that_can_be_given_no_task(self, site: Site) -> None:
        old = vm("w-prod-2")
        assert old.stamp
        site.vms["w-prod-2"] = replace(old, stamp=replace(old.stamp, instance=""))
        assert site.refusal().startswith("w-prod-2 was made by an earlier version and can be given no task")

    def test_is_a_master_whose_quorum_needs_it(self, site: Site) -> None:
        site.at(NEW, "m-prod-3").silent = {"m-prod-3"}
        refusal = site.refusal()
        assert refusal.startswith("m-prod-1: while it is upgraded etcd would have no quorum: 2 of 3 voters follow a leader")

    def test_is_no_master_whose_turn_comes_after_that_of_the_silent_one(self, site: Site) -> None:
        """Where it was broken off etcd may be about to start anew."""
        site.silent = {"m-prod-2"}
        assert keys(site.plan(), "upgrade") == ["upgrade m-prod-2", "upgrade m-prod-1", "upgrade m-prod-3"]

    def test_is_no_master_of_two_whose_quorum_needs_both(self) -> None:
        assert Site("m-prod-1", "m-prod-2").plan().actions

    @pytest.mark.parametrize("hours", [None, 25, -2])
    def test_is_going_without_a_fresh_backup_unless_that_is_said(self, site: Site, hours: int | None) -> None:
        """One of the future says nothing of its age."""
        site.facts = {"backup": Known(last_backup(hours) if hours else None)}
        assert site.plan().actions
        refusal = site.refusal(backup=True)
        assert "kube-provision backup --name prod FILE" in refusal
        assert refusal.endswith("say --no-backup")

    def test_is_not_with_a_fresh_backup(self, site: Site) -> None:
        site.facts = {"backup": Known(last_backup(hours=23))}
        assert site.plan(backup=True).actions

    def test_is_one_whose_last_backup_nobody_can_tell(self, site: Site) -> None:
        site.facts = {"backup": Unknown(ConfigError("no master answers"))}
        assert site.refusal(backup=True) == "no master answers"

    def test_is_a_minor_that_does_not_serve_what_clients_use(self, site: Site) -> None:
        site.removed = ("v1 things (removed in 1.37)",)
        assert site.refusal(NEXT).startswith(
            "clients of the cluster use what 1.37 does not serve: v1 things (removed in 1.37)"
        )
        assert site.plan(NEXT, removed_apis=True).actions
        assert site.plan(NEW).actions
        site.masters["m-prod-1"] = runs(NEXT)
        assert site.plan(NEXT).actions

    def test_is_what_can_never_be_emptied(self, site: Site) -> None:
        site.facts["objections_to"] = lambda drains, **_: tuple(f"{drain.name} would lose something" for drain in drains)
        assert site.refusal().splitlines() == [f"{name} would lose something" for name in ALL]


class TestOfTheSystem:
    """Instead of Kubernetes'."""

    def test_gives_every_node_a_turn_of_one_task_without_pods(self, site: Site) -> None:
        made = site.plan(system=True)
        steps = [*("cordon {0}", "drain {0}"), *given("upgrade-os", "{0}"), *("settle {0}", "uncordon {0}")]
        assert keys(made) == [step.format(name) for name in ALL for step in steps]
        assert action(made, "cordon m-prod-2").after == {"uncordon m-prod-1"}
        assert action(made, "give-upgrade-os m-prod-2").after == {"drain m-prod-2"}
        assert action(made, "settle m-prod-2").after == set(given("upgrade-os", "m-prod-2"))
        assert action(made, "settle m-prod-2").version == OLD

    def test_has_masters_leave_before_and_return_after_and_no_worker(self, site: Site) -> None:
        made = site.plan(system=True)
        names = [
            [it.step.name for it in action(made, f"give-upgrade-os {name}").task.steps] for name in ("m-prod-1", "w-prod-1")
        ]
        assert names == [["leave", "packages", "reboot", "kubelet", "return"], ["packages", "reboot", "kubelet"]]

    def test_takes_turns_as_any_other(self, site: Site) -> None:
        made = site.plan(system=True, rolling=Rolling("2", burn_in=9, pause=5, until=7.0))
        assert len(keys(made, "pause")) == len(ALL)
        assert action(made, "pause w-prod-3").after == {"uncordon w-prod-1"}
        assert action(made, "settle w-prod-1").seconds == 9

    @pytest.mark.parametrize(("only", "names"), [("master", MASTERS), ("worker", WORKERS)])
    def test_is_of_those_that_were_asked_for(self, site: Site, only: str, names: tuple[str, ...]) -> None:
        made = site.plan(system=True, only=only)
        assert keys(made, "upgrade-os") == [f"upgrade-os {name}" for name in names]

    def test_needs_no_backup_and_no_other_version(self, site: Site) -> None:
        assert site.plan(OLD, system=True, backup=True) == site.plan("1.37", system=True)

    def test_goes_on_with_nodes_that_a_run_before_has_cordoned(self, site: Site) -> None:
        site.nodes["w-prod-1"] = known("w-prod-1", cordoned=True, schedulable=False)
        site.vms["w-prod-1"] = vm("w-prod-1", task="5f0c")
        made = site.plan(system=True, draining=None)
        assert keys(made)[0] == "clear-task w-prod-1"
        assert action(made, "give-upgrade-os m-prod-1").after == {"clear-task w-prod-1"}
        assert keys(made, "uncordon") == ["uncordon w-prod-1"]

    def test_of_the_only_node_drains_nothing_and_says_so(self) -> None:
        made = Site("m-prod-1").plan(system=True)
        assert keys(made) == [*given("upgrade-os", "m-prod-1"), "settle m-prod-1"]
        assert any("is the only node, and is not drained" in note for note in made.notes)
        assert any("none can be spared" in note for note in made.notes)

    def test_waits_for_the_end_of_one_of_kubernetes(self, site: Site) -> None:
        site.nodes["m-prod-2"] = known("m-prod-2", "1.36.1")
        assert "m-prod-2 is not at 1.36.2, which the cluster runs: end the upgrade" in site.refusal(system=True)
        site.masters["m-prod-3"] = runs("1.36.1")
        assert "m-prod-2, m-prod-3 are not at 1.36.2" in site.refusal(system=True)

    def test_is_refused_where_the_cluster_is_not_well(self, site: Site) -> None:
        site.silent = {"m-prod-3"}
        assert "m-prod-1: while it is upgraded etcd would have no quorum" in site.refusal(system=True)
        assert site.plan(system=True, only="worker").actions
        assert "nothing was changed" in site.refusal(system=True, discovery=False)
        site.vms["w-prod-1"] = vm("w-prod-1", stamp=Stamp("prod", "id-1", Role.WORKER, "spec"))
        assert "w-prod-1 was made by an earlier version" in site.refusal(system=True, only="worker")
        site.nodes["w-prod-1"] = known("w-prod-1", ready=False, message="no word")
        assert "w-prod-1 is not Ready: no word" in site.refusal(system=True)

    def test_is_refused_where_a_node_can_never_be_emptied(self, site: Site) -> None:
        site.facts["objections_to"] = lambda drains, **_: tuple(f"{drain.name} would lose something" for drain in drains)
        assert site.refusal(system=True).splitlines() == [f"{name} would lose something" for name in ALL]

    def test_is_nothing_for_a_cluster_that_does_not_live(self, site: Site) -> None:
        site.facts["initialised"] = Known(False)
        assert "is not initialised, and has nothing to upgrade" in site.refusal(system=True)


def test_a_plan_is_another_one_for_another_version(site: Site) -> None:
    def particulars(made: Plan) -> dict[str, object]:
        return {it.key: it.details for it in made.actions if it.details is not None}

    first, again, other = site.plan(NEW), site.plan(NEW), site.plan("1.36.3")
    assert particulars(first) == particulars(again)
    assert particulars(first) != particulars(other)


def test_a_cluster_of_which_nobody_has_asked_etcd_is_taken_as_it_is(site: Site) -> None:
    site.facts["members"] = Known(replace(site.living, quorum=None))
    made: Sequence[Action] = site.plan().actions
    assert made


class TestAPool:
    """Of the last two workers; masters have been upgraded."""

    @pytest.fixture
    def site(self) -> Site:
        return Site(cluster=NEW).at(NEW, *MASTERS)

    @pytest.fixture(autouse=True)
    def _pool(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kinds = {"m": Role.MASTER, "w": Role.WORKER}
        gpus = {"w-prod-3", "w-prod-4"}
        monkeypatch.setitem(globals(), "role_of", lambda name: Role.of_pool("gpu") if name in gpus else kinds[name[0]])

    def upgraded(self, made: Plan) -> list[str]:
        return [it.subject for it in made.actions if it.verb in ("upgrade-kubelet", "upgrade-os")]

    @pytest.mark.parametrize("system", [False, True])
    def test_has_its_turn_alone(self, site: Site, system: bool) -> None:
        if system:
            site = Site()
        assert self.upgraded(site.plan(OLD if system else NEW, pool="gpu", system=system)) == ["w-prod-3", "w-prod-4"]
        assert self.upgraded(site.plan(OLD if system else NEW, pool="workers", system=system)) == ["w-prod-1", "w-prod-2"]

    def test_has_its_turn_among_all_workers(self, site: Site) -> None:
        assert self.upgraded(site.plan()) == [*WORKERS]
        assert self.upgraded(site.plan(only="worker")) == [*WORKERS]
        assert self.upgraded(Site().plan(OLD, system=True, only="worker")) == [*WORKERS]

    @pytest.mark.parametrize("system", [False, True])
    def test_shares_are_of_its_own_workers(self, site: Site, system: bool) -> None:
        site = Site() if system else site
        rolling = Rolling(max_unavailable="100%")
        made = site.plan(OLD if system else NEW, pool="gpu", system=system, rolling=rolling)
        assert "settle w-prod-3" not in action(made, "cordon w-prod-4").after

    def test_waits_for_the_masters(self) -> None:
        assert "masters" in Site().refusal(pool="gpu")

    @pytest.mark.parametrize("system", [False, True])
    def test_that_is_unknown_is_refused(self, site: Site, system: bool) -> None:
        said = (Site() if system else site).refusal(OLD if system else NEW, pool="cpu", system=system)
        assert said == "--pool cpu: cluster prod has no worker of such a pool; its pools are workers, gpu"

    def test_its_gates_are_asked_for_as_well(self) -> None:
        core = CoreConfig(name="prod", target="memory", os="memory")
        gated = core.model_copy(update={"kubelet": {"featureGates": {"Gpu": True}}})
        site = Site()
        site.facts["core"] = lambda role: gated if role.pool == "gpu" else core
        assert "takes kube-apiserver --feature-gates=Gpu=true " in prepared(site.plan(), "m-prod-1")

    @pytest.mark.parametrize("system", [False, True])
    def test_a_machine_of_it_is_none_of_another(self, site: Site, system: bool) -> None:
        site = Site() if system else site
        site.vms["w-prod-1"] = replace(site.vms["w-prod-1"], stamp=Stamp("prod", "id-1", Role.of_pool("gpu"), "spec"))
        said = site.refusal(OLD if system else NEW, system=system)
        assert said.startswith("w-prod-1: was made as worker-gpu, and the configuration asks for a worker of that name")


MORE_PODS = Change("kubelet.maxPods", 110, 200)


class TestAChangedSetting:
    @pytest.fixture
    def site(self) -> Site:
        """All of it is at the version."""
        return Site(cluster=NEW).at(NEW, *ALL)

    @staticmethod
    def change(site: Site, *changes: Change, names: Sequence[str] = WORKERS, **kubelet: Any) -> None:
        site.facts["changes"] = lambda node: changes if node.name in names else ()
        site.facts["core"] = lambda role: CoreConfig(name="prod", target="memory", os="memory", kubelet=kubelet)

    def test_is_applied_node_by_node_and_stamped_where_the_node_is_well(self, site: Site) -> None:
        self.change(site, MORE_PODS, names=["m-prod-2", "w-prod-3"], maxPods=200)
        made = site.plan()
        assert keys(made) == [
            step
            for name in ("m-prod-2", "w-prod-3")
            for step in (
                *(f"cordon {name}", f"drain {name}", *given("settings", name)),
                *(f"settle {name}", f"uncordon {name}", f"stamp {name}"),
            )
        ]
        assert action(made, "stamp m-prod-2").after == {"uncordon m-prod-2"}
        assert action(made, "cordon w-prod-3").after == {"stamp m-prod-2"}
        assert "maxPods: 200" in action(made, "give-settings w-prod-3").task.files[0].content
        assert action(made, "settings w-prod-3").reason == "kubelet.maxPods: 110 → 200"
        assert action(made, "stamp w-prod-3").details == {"spec": "spec", "changes": ["kubelet.maxPods: 110 → 200"]}

    def test_is_told_by_its_key_with_what_applies_it(self, site: Site) -> None:
        self.change(site, MORE_PODS)
        assert f"kubelet.maxPods: 110 → 200: a task applies it, node by node: {', '.join(WORKERS)}" in site.plan().notes

    @pytest.mark.parametrize(
        ("changes", "kubelet"),
        [
            ([Change("cpu", 2, 4)], {}),
            ([Change("data_volumes", None, [{"size": 9, "mount": "/data"}])], {}),
            ([Change("taints", None, ["a=b:NoSchedule"])], {}),
            ([Change("kubeletish.maxPods", 1, 2)], {}),
            ([OTHER], {}),
            ([MORE_PODS, Change("cpu", 2, 4)], {}),
            ([MORE_PODS, OTHER], {}),
            ([Change("kubelet.cpuManagerPolicy", None, "static")], {}),
            ([Change("kubelet.cpuManagerPolicyOptions.full-pcpus-only", None, "true")], {}),
            ([Change("kubelet.systemReserved.cpu", "1", "2")], {"cpuManagerPolicy": "static"}),
            ([Change("kubelet.evictionHard.memory.available", "1", "2")], {"memoryManagerPolicy": "Static"}),
        ],
    )
    def test_that_the_node_cannot_take_as_it_runs_needs_another_machine(
        self, site: Site, changes: Sequence[Change], kubelet: Mapping[str, Any]
    ) -> None:
        """Which brings all of them: nothing is applied twice."""
        self.change(site, *changes, names=["w-prod-2"], **kubelet)
        made = site.plan()
        assert made.actions == ()
        how = "applied to machines that are made anew (kube-provision replace --drifted --name prod): w-prod-2"
        assert made.notes == (
            f"every node that was asked for is at {NEW}",
            *(f"{change.text}: {how}" for change in changes),
        )

    def test_of_the_cluster_is_told_whether_or_not_there_is_anything_to_do(self, site: Site) -> None:
        site.facts["unapplied"] = lambda kept: ("another argument",)
        assert site.plan().notes == (f"every node that was asked for is at {NEW}", "another argument")
        self.change(site, MORE_PODS)
        assert "another argument" in site.plan().notes

    def test_of_what_is_reserved_is_applied_where_nothing_is_given_for_good(self, site: Site) -> None:
        self.change(site, Change("kubelet.systemReserved.cpu", "1", "2"), names=["w-prod-2"])
        assert "stamp w-prod-2" in keys(site.plan())

    def test_of_swap_needs_another_machine(self, site: Site) -> None:
        self.change(site, MORE_PODS, Change("swap", False, True), names=["w-prod-2"])
        made = site.plan()
        assert made.actions == ()
        assert made.notes[-1].startswith("swap: false → true: applied to machines that are made anew")

    def test_needs_another_machine_where_the_target_cannot_stamp(self, site: Site) -> None:
        self.change(site, MORE_PODS)
        site.facts["restamps"] = False
        made = site.plan()
        assert made.actions == ()
        assert "kubelet.maxPods: 110 → 200: applied to machines that are made anew" in made.notes[1]

    def test_comes_with_the_version_where_that_changes_too(self) -> None:
        site = Site(cluster=OLD)
        self.change(site, MORE_PODS, names=["m-prod-1", "w-prod-1"])
        made = site.plan()
        assert of(made, "w-prod-1") == [
            *("cordon w-prod-1", "drain w-prod-1"),
            *given("upgrade-kubelet", "w-prod-1"),
            *given("settings", "w-prod-1"),
            *("settle w-prod-1", "uncordon w-prod-1", "stamp w-prod-1"),
        ]
        assert "stamp w-prod-2" not in keys(made)
        assert keys(made, "addons") == ["addons prod"]

    def test_needs_no_backup_and_waits_for_no_addons(self, site: Site) -> None:
        self.change(site, MORE_PODS)
        site.facts["backup"] = Known(None)
        made = site.plan(backup=True)
        assert keys(made, "addons", "prepare-upgrade") == []

    @pytest.mark.parametrize(("options", "names"), [({"only": "worker"}, WORKERS), ({"only": "master"}, MASTERS)])
    def test_of_nodes_that_were_not_asked_for_is_left_and_not_told(
        self, site: Site, options: Mapping[str, Any], names: Sequence[str]
    ) -> None:
        self.change(site, MORE_PODS, names=ALL)
        made = site.plan(**options)
        assert keys(made, "stamp") == [f"stamp {name}" for name in names]
        assert made.notes[0].endswith(f": {', '.join(names)}")

    def test_without_a_drain_leaves_pods_where_they_are(self, site: Site) -> None:
        self.change(site, MORE_PODS, names=["w-prod-1"])
        made = site.plan(draining=None)
        assert keys(made) == [*given("settings", "w-prod-1"), "settle w-prod-1", "stamp w-prod-1"]

    def test_of_a_node_that_is_cordoned_still_goes_on_and_gives_it_back(self, site: Site) -> None:
        self.change(site, MORE_PODS, names=["w-prod-1"])
        site.at(NEW, "w-prod-1", cordoned=True, schedulable=False)
        assert keys(site.plan())[-3:] == ["settle w-prod-1", "uncordon w-prod-1", "stamp w-prod-1"]

    def test_of_a_single_master_costs_the_api_nothing(self) -> None:
        site = Site("m-prod-1", "w-prod-1", cluster=NEW).at(NEW, "m-prod-1", "w-prod-1")
        self.change(site, MORE_PODS, names=["m-prod-1"])
        assert not any("nothing serves the API" in note for note in site.plan().notes)
