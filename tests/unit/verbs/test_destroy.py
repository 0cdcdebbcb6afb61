"""The planner of `destroy`: only stamped machines, in an order that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from doubles.facts import GivenFacts

from kube_provision_core.cluster import Living
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.etcd import EtcdMember
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.contract.machines import Cluster, Discovery, MasterRecord, Power, Role, Stamp, Vm
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.facts import Known
from kube_provision_core.engine.plan import Plan
from kube_provision_core.engine.report import Report
from kube_provision_core.engine.verb import Options
from kube_provision_core.verbs.destroy import plan, tell


def vm(name: str, role: Role, cluster: str = "prod") -> Vm:
    return Vm(name, name, Power.ON, Stamp(cluster, "id-1", role, "spec"), (f"10.0.0.{len(name)}",))


NAMES = frozenset({"m-prod-1", "m-prod-2", "w-prod-1", "consul-prod"})
CLUSTER = Cluster("prod", "id-1", "1.36", NAMES, discovery_address="10.0.0.11")
VMS = (
    vm("consul-prod", Role.DISCOVERY),
    vm("m-prod-1", Role.MASTER),
    vm("m-prod-2", Role.MASTER),
    vm("w-prod-1", Role.WORKER),
)


DESIRED = SimpleNamespace(workers=())
FINISHED = NodeStatus(Stage.FINISH, "done")


def plan_cluster(seen: Observation, *, folder_saved: bool) -> Plan:
    return plan(DESIRED, GivenFacts(seen, saved=folder_saved), Options())


def plan_nodes(seen: Observation, names: list[str], there: Living | None = None, **options: Any) -> Plan:
    there = there or Living()
    return plan(DESIRED, GivenFacts(seen, nodes=Known(there), members=Known(there)), Options(nodes=tuple(names), **options))


def test_machines_go_first_then_their_server_with_its_record_then_the_folder() -> None:
    made = plan_cluster(Observation(CLUSTER, VMS, Discovery(True)), folder_saved=True)
    assert [action.key for action in made.actions] == [
        "destroy m-prod-1",
        "destroy m-prod-2",
        "destroy w-prod-1",
        "destroy consul-prod",
        "archive-folder prod",
    ]
    by_key = {action.key: action for action in made.actions}
    assert all(action.reason for action in made.actions)
    assert "destroy w-prod-1" in by_key["destroy consul-prod"].after
    assert "destroy consul-prod" in by_key["archive-folder prod"].after


def test_an_existing_discovery_service_forgets_the_cluster_once_its_machines_are_gone() -> None:
    existing = replace(CLUSTER, discovery_address="10.200.200.1")
    made = plan_cluster(Observation(existing, VMS[1:], Discovery(True)), folder_saved=True)
    by_key = {action.key: action for action in made.actions}
    assert "destroy w-prod-1" in by_key["forget prod"].after
    assert "forget prod" in by_key["archive-folder prod"].after
    assert all(action.reason for action in made.actions)


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
    assert "will not forget it until destroy is run with its address" in note
    assert plan_cluster(Observation(CLUSTER, VMS), folder_saved=True).notes == ()
    assert plan_cluster(Observation(CLUSTER), folder_saved=False).notes == ()


def node(name: str, **more: bool) -> ClusterNode:
    return ClusterNode(name, more.pop("ready", True), (), "10.0.0.5", **more)


def living(*nodes: ClusterNode, members: Sequence[str] = ()) -> Living:
    return Living(nodes, tuple(EtcdMember(name, name, ()) for name in members))


def planned(names: list[str], there: Living, vms: Sequence[Vm] = VMS, **options: Any) -> list[str]:
    made = plan_nodes(Observation(CLUSTER, tuple(vms), Discovery(True)), names, there, **options)
    assert all(action.reason for action in made.actions)
    done: set[str] = set()
    for action in made.actions:
        assert action.after <= done, action.key
        done.add(action.key)
    return [action.key for action in made.actions]


def test_a_node_is_emptied_before_its_machine_goes_and_forgotten_afterwards() -> None:
    there = living(node("m-prod-1"), node("w-prod-1"))
    assert planned(["w-prod-1"], there) == ["cordon w-prod-1", "drain w-prod-1", "destroy w-prod-1", "delete-node w-prod-1"]
    assert planned(["w-prod-1"], there, draining=None) == ["destroy w-prod-1", "delete-node w-prod-1"]


def test_etcd_lets_go_of_a_master_before_its_machine_goes() -> None:
    there = living(node("m-prod-1"), node("m-prod-2"), members=["m-prod-1", "m-prod-2"])
    assert planned(["m-prod-2"], there) == [
        *("cordon m-prod-2", "drain m-prod-2"),
        *("remove-member m-prod-2", "destroy m-prod-2", "delete-node m-prod-2"),
    ]


def test_pods_do_not_move_to_a_node_that_goes_too_and_go_node_by_node() -> None:
    there = living(node("m-prod-1"), node("m-prod-2"), node("w-prod-1"))
    made = plan_nodes(Observation(CLUSTER, VMS), ["m-prod-2", "w-prod-1"], there)
    assert [action.key for action in made.actions][:3] == ["cordon m-prod-2", "cordon w-prod-1", "drain m-prod-2"]
    by_key = {action.key: action for action in made.actions}
    assert by_key["drain m-prod-2"].after == {"cordon m-prod-2", "cordon w-prod-1"}
    assert by_key["drain w-prod-1"].after == {"drain m-prod-2"}


def test_a_node_that_is_silent_is_not_drained() -> None:
    """Its pods end with its machine, and are started elsewhere only after that."""
    there = living(node("m-prod-1"), node("w-prod-1", ready=False, reachable=False))
    assert planned(["w-prod-1"], there) == ["destroy w-prod-1", "delete-node w-prod-1"]


def test_a_machine_that_is_off_is_not_drained() -> None:
    off = tuple(replace(machine, power=Power.OFF) if machine.name == "w-prod-1" else machine for machine in VMS)
    there = living(node("m-prod-1"), node("w-prod-1"))
    assert planned(["w-prod-1"], there, off) == ["destroy w-prod-1", "delete-node w-prod-1"]


@pytest.mark.parametrize("other", [{"schedulable": False}, {"reachable": False, "ready": False}])
def test_nobody_is_drained_where_no_other_node_takes_pods(other: dict[str, bool]) -> None:
    there = living(node("m-prod-1", **other), node("w-prod-1"))
    assert planned(["w-prod-1"], there) == ["destroy w-prod-1", "delete-node w-prod-1"]


def test_nobody_is_drained_where_no_node_is_left_to_take_the_pods() -> None:
    assert planned(["w-prod-1"], living(node("w-prod-1"))) == ["destroy w-prod-1", "delete-node w-prod-1"]


def test_what_would_be_lost_is_refused_for_all_nodes_at_once() -> None:
    there = living(node("m-prod-1"), node("m-prod-2"), node("w-prod-1"))
    facts = GivenFacts(
        Observation(CLUSTER, VMS),
        nodes=Known(there),
        members=Known(there),
        objections_to=lambda drains, **_: tuple(f"{drain.name} would lose something" for drain in drains),
    )
    with pytest.raises(ConfigError) as raised:
        plan(DESIRED, facts, Options(nodes=("w-prod-1", "m-prod-2")))
    assert raised.value.problems == ("m-prod-2 would lose something", "w-prod-1 would lose something")


def test_a_node_whose_machine_is_gone_still_leaves_the_cluster() -> None:
    gone = tuple(machine for machine in VMS if machine.name != "m-prod-1")
    there = living(node("m-prod-1", ready=False), node("m-prod-2"), members=["m-prod-1"])
    assert planned(["m-prod-1"], there, gone) == ["remove-member m-prod-1", "delete-node m-prod-1"]


def test_an_unknown_node_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"w-prod-9: no such node.*m-prod-1, m-prod-2, w-prod-1"):
        plan_nodes(Observation(CLUSTER, VMS), ["w-prod-9"])


def test_a_node_of_a_cluster_without_machines_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"w-prod-9: no such node in cluster prod; it has none"):
        plan_nodes(Observation(CLUSTER), ["w-prod-9"])


def test_the_last_masters_go_only_with_their_cluster() -> None:
    with pytest.raises(ConfigError, match="no master left"):
        plan_nodes(Observation(CLUSTER, VMS), ["m-prod-1", "m-prod-2"])


def test_a_copy_that_somebody_has_made_is_named_and_left_alone() -> None:
    copied = replace(VMS[1], name="before-upgrade", stamp=None, copy=True, where="/dc/vm/before-upgrade")
    seen = Observation(CLUSTER, (*VMS, copied))
    (line,) = tell(GivenFacts(seen), Options(), Report("prod", (), seen)).hints
    assert line == "/dc/vm/before-upgrade is left alone: it is a copy that somebody has made of a machine of prod's"


def test_a_machine_whose_stamp_was_emptied_is_named_with_what_to_do() -> None:
    emptied = replace(VMS[1], stamp=None, where="/dc/vm/m-prod-1")
    seen = Observation(CLUSTER, (VMS[0], emptied))
    (line,) = tell(GivenFacts(seen), Options(), Report("prod", (), seen)).hints
    assert line.startswith("/dc/vm/m-prod-1 is left alone: it bears a name of cluster prod's, but no stamp.")
    assert "delete it on the target" in line


class TestAClusterThatIsBeingRestored:
    """It may be destroyed: whoever does so knows."""

    @pytest.mark.parametrize("nodes", [(), ("w-prod-1",)])
    @pytest.mark.parametrize(
        ("mark", "begun", "more"),
        [
            ("restoring", "has begun, and what was made for that goes, too", "kube-provision restore --name prod FILE"),
            (
                "abandoning",
                "was destroying what is left of it when it was broken off",
                "kube-provision restore --abandon-old --name prod FILE",
            ),
        ],
    )
    def test_the_plan_says_so(self, nodes: tuple[str, ...], mark: str, begun: str, more: str) -> None:
        facts = GivenFacts(Observation(CLUSTER, VMS, Discovery(True)))
        setattr(facts.folder, mark, "ab" * 32)
        told = plan(DESIRED, facts, Options(nodes=nodes)).notes[0]
        begun = f"a restoration of cluster prod (from the snapshot abababababab…) {begun}"
        assert told == f"{begun}. To go on with it instead: {more}"

    def test_of_any_other_it_says_nothing(self) -> None:
        assert plan_cluster(Observation(CLUSTER, VMS, Discovery(True)), folder_saved=True).notes == ()


SERVERS = ("consul-prod", "consul-prod-2", "consul-prod-3")


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (("consul-prod-2",), False),
        (("consul-prod", "consul-prod-2"), True),
        (SERVERS, False),
    ],
)
def test_of_several_discovery_machines_a_minority_goes_or_all(names: Sequence[str], refused: bool) -> None:
    servers = [replace(vm(name, Role.DISCOVERY), status=FINISHED) for name in SERVERS]
    refusal = pytest.raises(ConfigError, match=r"consul-prod, consul-prod-2: without them discovery .* has no quorum left")
    with refusal if refused else nullcontext():
        assert planned([*names], living(), [*servers, *VMS[1:]]) == [f"destroy {name}" for name in names]


@pytest.mark.parametrize("broken", [{"power": Power.OFF}, {"status": None}], ids=["off", "never finished"])
def test_where_one_of_three_does_not_work_that_one_goes_and_no_other(broken: dict[str, Any]) -> None:
    servers = [replace(vm(name, Role.DISCOVERY), status=FINISHED) for name in SERVERS]
    servers[0] = replace(servers[0], **broken)
    assert planned(["consul-prod"], living(), [*servers, *VMS[1:]]) == ["destroy consul-prod"]
    with pytest.raises(ConfigError, match=r"consul-prod-2: without them discovery .* has no quorum left"):
        planned(["consul-prod-2"], living(), [*servers, *VMS[1:]])


MASTERS = ("m-prod-1", "m-prod-2", "m-prod-3")


class TestMastersThatAreDiscovery:
    """Of three, one that has gone leaves two, of which none may go."""

    def going(
        self,
        *names: str,
        there: Sequence[str] = MASTERS,
        by_majority: bool = True,
        healthy: Sequence[str] = MASTERS,
        **known: Any,
    ) -> list[str]:
        cluster = replace(CLUSTER, discovery_on_masters=True, discovery_by_majority=by_majority, **known)
        vms = tuple(replace(vm(name, Role.MASTER), status=FINISHED) for name in there)
        known_there = Discovery(True, tuple(MasterRecord(name, "10.0.0.5") for name in healthy))
        made = plan_nodes(Observation(cluster, vms, known_there), [*names], living())
        return [action.key for action in made.actions]

    @pytest.mark.parametrize("healthy", [[], MASTERS[:1], MASTERS[1:]])
    def test_count_where_they_stay_only_as_far_as_discovery_calls_them_healthy(self, healthy: Sequence[str]) -> None:
        """The one that goes may be what has a vote: nobody knows what is wrong with the others."""
        with pytest.raises(ConfigError, match="has no quorum left"):
            self.going(MASTERS[1], healthy=healthy)

    def test_go_as_long_as_most_of_them_stay(self) -> None:
        assert self.going("m-prod-2") == ["destroy m-prod-2"]
        for names, there in ((MASTERS[1:], MASTERS), (MASTERS[1:2], MASTERS[:2])):
            with pytest.raises(ConfigError, match=r"has no quorum left.* or the whole cluster"):
                self.going(*names, there=there)

    def test_count_while_they_are_gone_and_still_wanted(self) -> None:
        """Of five, two of which are gone, none may go: the three that are left are all that it takes."""
        five = dict.fromkeys((*MASTERS, "m-prod-4", "m-prod-5"), Role.MASTER)
        assert self.going("m-prod-3") == ["destroy m-prod-3"]
        with pytest.raises(ConfigError, match="has no quorum left"):
            self.going("m-prod-3", nodes=five)

    def test_go_where_it_takes_no_majority(self) -> None:
        assert self.going("m-prod-2", "m-prod-3", by_majority=False) == ["destroy m-prod-2", "destroy m-prod-3"]


class TestAPool:
    """Whose workers go, be it in the configuration still or not."""

    VMS = (*VMS, vm("gpu-prod-1", Role.of_pool("gpu")), vm("gpu-prod-2", Role.of_pool("gpu")))

    def plan(self, pool: str) -> Plan:
        nodes = tuple(ClusterNode(it.name, True, (), "10.0.0.5") for it in self.VMS)
        seen = Observation(CLUSTER, self.VMS, Discovery(True))
        return plan(DESIRED, GivenFacts(seen, nodes=Known(Living(nodes))), Options(pool=pool))

    @pytest.mark.parametrize(("pool", "names"), [("gpu", {"gpu-prod-1", "gpu-prod-2"}), ("workers", {"w-prod-1"})])
    def test_is_drained_and_destroyed_alone(self, pool: str, names: set[str]) -> None:
        made = self.plan(pool)
        assert {it.subject for it in made.actions} == names
        assert {it.verb for it in made.actions} >= {"cordon", "drain", "destroy"}
        assert {it.reason for it in made.actions if it.verb == "destroy"} == {"its pool was named by --pool"}

    def test_that_has_no_machines_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"--pool cpu: .* no worker of such a pool; its pools are workers, gpu"):
            self.plan("cpu")

    def test_of_a_cluster_without_workers_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"--pool gpu: .* no worker of such a pool; it has no workers"):
            plan(DESIRED, GivenFacts(Observation(CLUSTER, VMS[:3], Discovery(True))), Options(pool="gpu"))

    def test_hints_nothing_about_the_whole_cluster(self) -> None:
        seen = Observation(CLUSTER, (*VMS, replace(VMS[3], name="w-prod-8", stamp=None, copy=True)))
        report = Report("prod", (), seen)
        assert tell(GivenFacts(seen), Options(), report).hints
        assert tell(GivenFacts(seen), Options(pool="gpu"), report) is report
