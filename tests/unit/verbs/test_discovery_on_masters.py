"""Masters that are the discovery service themselves: which of them may initialise the cluster, and what waits for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from doubles.facts import GivenFacts
from doubles.restoration import planned as planned_restoration
from doubles.site import Site

from kube_provision_core.cluster import Living
from kube_provision_core.cluster.advice import Remedies
from kube_provision_core.cluster.desired import Desired
from kube_provision_core.cluster.observe import Observation, locate, observe
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import ConfigError, DiscoveryError
from kube_provision_core.contract.machines import Cluster, Discovery, Machine, MasterRecord, Node, Power, Role, Stamp, Vm
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.executor import State
from kube_provision_core.engine.facts import Known
from kube_provision_core.engine.latest import Latest
from kube_provision_core.engine.plan import Action, CreateVm, Plan
from kube_provision_core.engine.report import Report
from kube_provision_core.engine.verb import Options
from kube_provision_core.verbs import destroy
from kube_provision_core.verbs.provision import plan

FINISHED = NodeStatus(Stage.FINISH, "done")
LIVES = Discovery(initialised=True, masters=(MasterRecord("m-prod-2", "10.0.0.2"),), cluster_id="id-1")


def node(name: str, role: Role) -> Node:
    return Node(name, role, int(name[-1]), Machine(2, 4), Stamp("prod", "id-1", role, "spec"))


def vm(name: str, address: str | None = None, *, carries_ca: bool = False, **more: object) -> Vm:
    role = Role.MASTER if name.startswith("m-") else Role.WORKER
    found = Vm(
        name, f"id of {name}", Power.ON, Stamp("prod", "id-1", role, "spec", carries_ca), (address,) if address else ()
    )
    return replace(found, **more)  # type: ignore[arg-type]


def desire(prefix: str = "m-prod") -> Desired:
    masters = tuple(node(f"{prefix}-{number}", Role.MASTER) for number in (1, 2, 3))
    workers = (node("w-prod-1", Role.WORKER),)
    names = frozenset(it.name for it in (*masters, *workers))
    return Desired(Cluster("prod", "id-1", "1.36", names, discovery_on_masters=True), masters, workers, (), Remedies("prod"))


def planned(
    *vms: Vm,
    discovery: Discovery | None = None,
    error: str = "",
    carrier: str = "",
    wait: bool = False,
    desired: Desired | None = None,
) -> Plan:
    desired = desired or desire()
    seen = Observation(locate(desired.cluster, vms), vms, discovery, error)
    initialised = Known(discovery is not None and discovery.initialised)
    facts = GivenFacts(seen, initialised=initialised, nodes=Known(Living()), members=Known(Living()))
    facts.folder.carrier = carrier
    return plan(desired, facts, Options(wait=wait))


def keys(actions: Iterable[Action]) -> list[str]:
    return [action.key for action in actions]


def carriers(plan: Plan) -> list[str]:
    return [it.node.name for it in plan.actions if isinstance(it, CreateVm) and it.node.stamp.carries_ca]


def after(plan: Plan, key: str) -> frozenset[str]:
    return next(action.after for action in plan.actions if action.key == key)


class TestAFreshCluster:
    def test_begins_with_the_machine_that_may_initialise_it_and_its_address(self) -> None:
        plan = planned()
        assert carriers(plan) == ["m-prod-1"]
        assert keys(plan.actions)[:2] == ["create m-prod-1", "await m-prod-1"]
        others = ["create m-prod-2", "create m-prod-3", "create w-prod-1"]
        assert [key for key in keys(plan.actions) if key.startswith("create")][1:] == others
        assert all("await m-prod-1" in after(plan, key) for key in others)
        assert len(set(keys(plan.actions))) == len(plan.actions)

    def test_is_waited_for_as_any_other(self) -> None:
        plan = planned(wait=True)
        assert {"await m-prod-1", "boot m-prod-1", "boot w-prod-1", "ready prod"} <= set(keys(plan.actions))

    def test_has_the_same_one_in_every_run(self) -> None:
        """As after a creation that failed."""
        assert carriers(planned(carrier="m-prod-2")) == ["m-prod-2"]

    def test_never_has_another_one_where_names_have_changed(self) -> None:
        with pytest.raises(ConfigError, match="only m-prod-1 may initialise cluster prod"):
            planned(carrier="m-prod-1", desired=desire("lab-m-prod"))


class TestWhatAnEarlierRunHasLeft:
    def test_is_completed_beside_a_first_master_that_boots(self) -> None:
        """Nobody answers yet, and nobody has to: there is one that may."""
        plan = planned(vm("m-prod-1", "10.0.0.1", carries_ca=True), error="m-prod-1 has not finished its boot")
        assert carriers(plan) == []
        assert [key for key in keys(plan.changes) if key.startswith("create")] == [
            "create m-prod-2",
            "create m-prod-3",
            "create w-prod-1",
        ]
        assert after(plan, "create m-prod-2") == frozenset()

    def test_waits_for_the_address_of_a_first_master_that_has_none(self) -> None:
        plan = planned(vm("m-prod-1", carries_ca=True))
        assert after(plan, "create w-prod-1") == {"await m-prod-1"}
        assert keys(plan.actions).count("await m-prod-1") == 1

    def test_waits_for_a_first_master_that_is_started(self) -> None:
        plan = planned(vm("m-prod-1", carries_ca=True, power=Power.OFF), vm("w-prod-1", power=Power.OFF))
        assert after(plan, "await m-prod-1") == {"start m-prod-1"}
        assert after(plan, "create m-prod-2") == {"await m-prod-1"}
        assert after(plan, "start w-prod-1") == frozenset()

    def test_is_only_looked_at_where_nothing_is_missing(self) -> None:
        whole = [vm(name, carries_ca=name == "m-prod-1") for name in ("m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1")]
        assert planned(*whole).changes == ()

    @pytest.mark.parametrize("left", ["m-prod-2", "w-prod-1"])
    @pytest.mark.parametrize(
        ("discovery", "error"), [(None, "10.0.0.2: refused"), (None, ""), (Discovery(initialised=False), "")]
    )
    def test_is_no_beginning_without_the_machine_that_may(self, left: str, discovery: Discovery | None, error: str) -> None:
        """What is left may have joined it: it was made first."""
        with pytest.raises(DiscoveryError, match=f"cannot know whether .* and {left} may have joined it") as caught:
            planned(vm(left, "10.0.0.2"), discovery=discovery, error=error)
        assert error in str(caught.value)

    def test_gets_no_second_one_where_a_master_that_has_joined_tells_of_the_cluster(self) -> None:
        plan = planned(vm("m-prod-2", "10.0.0.2"), discovery=LIVES)
        assert carriers(plan) == []
        assert "create m-prod-1" in keys(plan.changes)


class TestWhereDiscoveryIs:
    def test_is_where_masters_are(self) -> None:
        cluster = locate(
            desire().cluster, (vm("m-prod-2", "10.0.0.2"), vm("m-prod-1", "10.0.0.1"), vm("w-prod-1", "10.0.0.9"))
        )
        assert cluster.discovery_addresses == ("10.0.0.1", "10.0.0.2")
        moved = locate(cluster, (vm("m-prod-2", "10.0.0.2"),))
        assert moved.discovery_addresses == ("10.0.0.2",)
        assert locate(cluster, ()).discovery_address is None

    def test_is_followed_while_a_run_acts(self) -> None:
        first, second = vm("m-prod-1", "10.0.0.1"), vm("m-prod-2", "10.0.0.2")
        latest = Latest(Observation(locate(desire().cluster, (first, second)), (first, second), LIVES))
        latest.forget("m-prod-1")
        assert latest.cluster.discovery_addresses == ("10.0.0.2",)
        assert latest.observation.discovery == LIVES
        latest.forget("m-prod-2")
        assert (latest.cluster.discovery_address, latest.observation.discovery) == (None, None)

    @pytest.mark.parametrize(
        ("others", "told"), [([], "m-prod-1 has not finished its boot"), (["m-prod-2"], "nobody answers")]
    )
    def test_says_that_it_boots_as_long_as_no_master_has(self, others: list[str], told: str) -> None:
        class Hooks:
            def list_vms(self, cluster: Cluster) -> list[Vm]:
                return [vm("m-prod-1", "10.0.0.1"), *(vm(name, "10.0.0.2", status=FINISHED) for name in others)]

            def discover_masters(self, cluster: Cluster) -> Discovery:
                raise DiscoveryError("nobody answers")

        assert told in observe(Hooks(), desire().cluster).discovery_error  # type: ignore[arg-type]


def test_a_whole_cluster_that_goes_takes_what_its_masters_knew_with_it() -> None:
    for discovery in (LIVES, None):
        vms = (vm("m-prod-1", "10.0.0.1"), vm("w-prod-1"))
        seen = Observation(locate(desire().cluster, vms), vms, discovery)
        plan = destroy.plan(desire(), GivenFacts(seen), Options())
        assert "forget prod" not in keys(plan.actions)
        assert plan.notes == ()


def test_a_restoration_is_refused() -> None:
    with pytest.raises(ConfigError, match="Restore with another discovery"):
        planned_restoration(desired=desire())


@pytest.mark.usefixtures("look_often")
class TestARun:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Site:
        return Site(tmp_path / "state", servers=0)

    def test_notes_who_may_initialise_before_that_one_is_made(self, site: Site) -> None:
        report = site.provision()
        assert done(report)[:2] == ["create m-prod-1", "await m-prod-1"]
        assert site.folder is not None
        assert site.folder.carrier == "m-prod-1"
        first = site.world.addresses["m-prod-1"]
        told = {name for name, text in site.world.boot_data.items() if f"ADDRESSES = ('{first}'," in text}
        assert told == {"m-prod-2", "m-prod-3", "w-prod-1", "w-prod-2"}

    def test_that_made_no_first_master_makes_nobody_else_and_is_run_again(self, site: Site) -> None:
        site.world.breaks.add("m-prod-1")
        assert site.provision().exit_code == 3
        assert set(site.world.vms) <= {"m-prod-1"}
        site.world.breaks.clear()
        assert site.provision().exit_code == 0
        assert [name for name, vm in site.world.vms.items() if vm.stamp and vm.stamp.carries_ca] == ["m-prod-1"]

    def test_of_another_service_is_refused_before_anything_is_made(self, site: Site) -> None:
        """Its first master had been noted, and there is what might know it."""
        site.provision()
        site.servers = 1
        before = dict(site.world.vms)
        assert site.folder is not None
        site.folder.mark_initialised()
        refused = r"^discovery: cluster prod was made with masters that are its discovery service, .* put back"
        going = lambda: site.destroy("w-prod-1")  # noqa: E731
        for again in (lambda: site.provision(workers=3), lambda: site.replace("w-prod-1"), going):
            with pytest.raises(ConfigError, match=refused):
                again()
        assert site.world.vms == before

    def test_of_another_service_begins_anew_where_nothing_is_left(self, site: Site) -> None:
        site.world.breaks.add("m-prod-1")
        site.provision()
        site.world.breaks.clear()
        site.world.vms.clear()
        site.servers = 1
        for workers in (2, 3):
            assert site.provision(workers=workers).exit_code == 0
        assert site.folder is not None
        assert site.folder.carrier == ""

    def test_of_another_service_that_had_begun_with_its_server_goes_on(self, site: Site) -> None:
        """Killed before its first master was made, which would have taken the note of before away."""
        site.world.breaks.add("m-prod-1")
        site.provision()
        site.world.vms.clear()
        site.servers = 1
        assert site.provision(masters=1, workers=0).exit_code == 4
        assert set(site.world.vms) == {"consul-prod"}
        assert site.folder is not None
        site.folder.note_carrier("m-prod-1")
        site.world.breaks.clear()
        assert site.provision().exit_code == 0

    def test_of_a_cluster_with_a_service_notes_nobody(self, tmp_path: Path) -> None:
        site = Site(tmp_path / "state")
        site.provision()
        assert site.folder is not None
        assert site.folder.carrier == ""


def done(report: Report) -> list[str]:
    return [outcome.action.key for outcome in report.outcomes if outcome.state is State.DONE]
