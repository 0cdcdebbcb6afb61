"""Whole runs on a target in memory: what is created, kept, refused, reported. Nothing here waits for a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from doubles.memory import MemoryTarget
from doubles.site import Operator, Site

from kube_provision_core.config import Config
from kube_provision_core.contract.boot import Boot, Stage
from kube_provision_core.contract.driver import DriverConfig, option
from kube_provision_core.contract.errors import (
    BusyError,
    ConfigError,
    ControlPlaneError,
    DiscoveryError,
    FolderError,
    PluginError,
)
from kube_provision_core.contract.hookspecs import hookimpl
from kube_provision_core.contract.machines import Discovery, FailureDomain, MasterRecord, Node, Power, Role, Vm
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.executor import Interrupt, State
from kube_provision_core.engine.plan import Plan
from kube_provision_core.engine.report import Report
from kube_provision_core.engine.session import Session, open_session
from kube_provision_core.engine.verb import Options, Verb
from kube_provision_core.folder.store import Folder
from kube_provision_core.verbs import planning, run
from kube_provision_core.verbs.destroy import DESTROY
from kube_provision_core.verbs.provision import PROVISION
from kube_provision_core.verbs.render import preview
from kube_provision_core.verbs.renew import RENEW
from kube_provision_core.verbs.status import status
from kube_provision_core.verbs.why import explain

pytestmark = pytest.mark.usefixtures("look_often")

FINISHED = NodeStatus(Stage.FINISH, "done")


@pytest.fixture(autouse=True)
def _pause_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target in memory needs no patience."""
    monkeypatch.setattr("kube_provision_core.engine.watch.silence_timeout", lambda _: 0.05)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "state")


def names(report: Report, state: State = State.DONE) -> list[str]:
    return [outcome.action.key for outcome in report.outcomes if outcome.state is state]


def lacking(hook: str) -> type[MemoryTarget]:
    """A target that does not answer this hook."""
    left_out = (hook, "__dict__", "__weakref__")
    return type("Lacking", (), {name: member for name, member in vars(MemoryTarget).items() if name not in left_out})


class TestWhatARunAsks:
    """Calls, counted: each is a moment of somebody's target, discovery or cluster."""

    @pytest.fixture
    def standing(self, site: Site) -> Site:
        site.provision()
        site.registry.record = Discovery(initialised=True)
        return site

    def asked(self, site: Site, do: Callable[[Session], object], **keys: int) -> dict[str, int]:
        called: list[str] = []
        with site.session(**keys) as session:
            session.plugins.add_hookcall_monitoring(lambda name, *_: called.append(name), lambda *_: None)
            do(session)
        return {name: called.count(name) for name in ("list_vms", "discover_masters", "list_templates") if name in called}

    def test_a_plan_looks_once(self, standing: Site) -> None:
        once = {"list_vms": 1, "discover_masters": 1}
        assert self.asked(standing, lambda session: planning.plan(PROVISION, session, Options())) == once
        assert self.asked(standing, lambda session: planning.plan(DESTROY, session, Options())) == once

    def test_a_run_looks_again_under_discoverys_lock(self, standing: Site) -> None:
        def provision(session: Session) -> None:
            run.run(PROVISION, session, Options(), Operator(standing))

        assert self.asked(standing, provision) == {"list_vms": 2, "discover_masters": 2}

    @pytest.mark.parametrize(("verb", "begun"), [(PROVISION, True), (DESTROY, False), (RENEW, False)])
    def test_what_will_render_gets_ready_before_it_waits_for_the_target(
        self, standing: Site, verb: Verb, begun: bool
    ) -> None:
        seen: dict[str, bool] = {}
        with standing.session() as session:
            session.plugins.add_hookcall_monitoring(
                lambda name, *_: seen.setdefault(name, "_renderer" in vars(session)), lambda *_: None
            )
            planning.plan(verb, session, Options())
        assert seen["list_vms"] is begun

    @pytest.mark.parametrize("look", [status, partial(explain, name="w-prod-1")])
    def test_who_only_looks_looks_once(self, standing: Site, look: Callable[[Session], object]) -> None:
        assert self.asked(standing, look) == {"list_vms": 1, "discover_masters": 1}


class TestTheFirstRun:
    def test_creates_every_machine_and_reports_each(self, site: Site) -> None:
        report = site.provision()
        assert sorted(site.world.vms) == ["consul-prod", "m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1", "w-prod-2"]
        assert report.exit_code == 0
        assert {(node.state, bool(node.address)) for node in report.nodes} == {(State.DONE, True)}
        assert len(report.nodes) == 6

    def test_tells_every_machine_where_discovery_is(self, site: Site) -> None:
        site.provision()
        address = site.world.addresses["consul-prod"]
        assert all(address in site.world.boot_data[name] for name in ("m-prod-1", "w-prod-2"))

    def test_gives_the_authorities_to_one_machine(self, site: Site) -> None:
        site.provision()
        assert [name for name, vm in site.world.vms.items() if vm.stamp and vm.stamp.carries_ca] == ["m-prod-1"]
        with_keys = [name for name, boot in site.world.boot_data.items() if "PRIVATE KEY" in boot]
        assert with_keys == ["m-prod-1"]

    def test_stamps_machines_with_the_identity_in_the_folder(self, site: Site) -> None:
        site.provision()
        assert site.folder
        assert {vm.stamp.cluster_id for vm in site.world.vms.values() if vm.stamp} == {site.folder.cluster_id}

    def test_writes_a_kubeconfig_for_a_master(self, site: Site) -> None:
        report = site.provision()
        assert report.kubeconfig
        assert any(site.world.addresses[f"m-prod-{index}"] in report.kubeconfig.read_text() for index in (1, 2, 3))

    def test_tells_every_machine_where_all_discovery_machines_are(self, site: Site) -> None:
        site.servers = 3
        assert site.provision().exit_code == 0
        addresses = [site.world.addresses[name] for name in ("consul-prod", "consul-prod-2", "consul-prod-3")]
        assert [it for it in addresses if it in site.world.boot_data["consul-prod-2"]] == addresses[:1]
        assert all(address in site.world.boot_data["w-prod-2"] for address in addresses)

    def test_uses_an_existing_discovery_service(self, site: Site) -> None:
        site.address = "10.200.200.1"
        site.provision()
        assert "consul-prod" not in site.world.vms
        assert "10.200.200.1" in site.world.boot_data["w-prod-1"]


class TestTheSecondRun:
    def test_creates_nothing(self, site: Site) -> None:
        site.provision()
        before = dict(site.world.vms)
        report = site.provision()
        assert (names(report), report.exit_code, site.world.vms) == (["arrange prod"], 0, before)

    @pytest.mark.parametrize("lost", ["consul-prod", "consul-prod-3"])
    def test_replaces_one_of_three_discovery_machines(self, site: Site, lost: str) -> None:
        site.servers = 3
        site.provision()
        before = dict(site.world.vms)
        del site.world.vms[lost]
        report = site.provision()
        assert names(report) == [f"create {lost}", f"await {lost}", "arrange prod"]
        assert report.exit_code == 0
        assert [name for name in before if site.world.vms[name].stamp != before[name].stamp] == [lost]

    def test_makes_one_discovery_machine_three(self, site: Site) -> None:
        site.provision()
        before = dict(site.world.vms)
        site.servers = 3
        assert site.provision().exit_code == 0
        assert site.world.vms.keys() - before.keys() == {"consul-prod-2", "consul-prod-3"}
        assert before.items() <= site.world.vms.items()

    def test_arranges_what_a_killed_run_has_not_come_to(self, site: Site) -> None:
        site.provision()
        site.world.arranged = frozenset()
        site.provision()
        assert site.world.arranged == set(site.world.vms)

    def test_adds_what_is_missing(self, site: Site) -> None:
        site.provision()
        report = site.provision(workers=4)
        assert "create w-prod-3" in names(report)
        assert "create w-prod-4" in names(report)
        assert len(site.world.vms) == 8

    def test_reuses_the_secrets_of_a_run_that_was_killed(self, site: Site) -> None:
        site.provision(workers=0)
        first = site.folder
        site.provision(workers=1)
        assert site.folder
        assert first
        assert (first.token, first.pki) == (site.folder.token, site.folder.pki)

    def test_remembers_for_good_that_the_cluster_lives(self, site: Site) -> None:
        site.provision()
        site.registry.record = Discovery(initialised=True)
        site.provision()
        assert site.folder
        assert site.folder.initialised

    def test_replaces_a_carrier_that_was_never_made(self, site: Site) -> None:
        site.world.breaks.add("m-prod-1")
        assert site.provision().exit_code == 4
        site.world.breaks.clear()
        assert site.provision().exit_code == 0
        stamp = site.world.vms["m-prod-1"].stamp
        assert stamp
        assert stamp.carries_ca

    def test_makes_anew_what_a_creation_that_was_cut_short_has_left(self, site: Site) -> None:
        site.provision()
        carrier = site.world.vms["m-prod-1"]
        site.world.vms["m-prod-1"] = replace(carrier, power=Power.OFF, complete=False)
        site.world.boot_data["m-prod-1"] = ""
        assert "create m-prod-1" in names(site.provision())
        made = site.world.vms["m-prod-1"]
        assert made.complete
        assert made.stamp
        assert carrier.stamp
        assert made.stamp.instance != carrier.stamp.instance, "it would be given what was meant for the earlier one"
        assert made.stamp == replace(carrier.stamp, instance=made.stamp.instance)
        assert site.world.boot_data["m-prod-1"]


class TestFailureDomains:
    @pytest.fixture
    def zones(self, site: Site) -> Site:
        site.world.domains = tuple(FailureDomain(name, {"zone": name}) for name in ("zone-a", "zone-b", "zone-c"))
        return site

    def test_machines_spread_over_them_and_their_kubelets_say_where(self, zones: Site) -> None:
        zones.provision(masters=3, workers=2)
        assert {name: vm.failure_domain for name, vm in zones.world.vms.items() if name[0] == "m"} == {
            "m-prod-1": "zone-a",
            "m-prod-2": "zone-b",
            "m-prod-3": "zone-c",
        }
        assert "value: zone=zone-b" in zones.world.boot_data["w-prod-2"]

    def test_machines_of_each_are_checked_before_anything_is_made(self, zones: Site) -> None:
        asked: list[str] = []

        class Checking(MemoryTarget):
            @hookimpl
            def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
                asked.extend(node.failure_domain.name for node, _ in machines if node.failure_domain)
                return ["zone-c: is full"]

        zones.target = Checking
        with pytest.raises(ConfigError, match="zone-c: is full"):
            zones.provision(masters=3, workers=2)
        assert set(asked) == {"zone-a", "zone-b", "zone-c"}
        assert not zones.world.vms

    def test_what_a_target_names_so_is_looked_at(self, site: Site) -> None:
        site.target = type("Mistaken", (MemoryTarget,), {"failure_domains": ["zone-a"]})
        with pytest.raises(PluginError, match=r"failure_domains: .*its author must mend it"):
            site.provision(masters=1, workers=0)

    def test_boot_data_are_shown_as_they_would_be(self, zones: Site) -> None:
        with zones.session(masters=3, workers=0) as session:
            found = {it.node.name: it.boot.user_data for it in preview(session)}
        assert "value: zone=zone-c" in found["m-prod-3"]


class TestFailures:
    def test_of_one_machine_neither_stop_nor_hide_the_others(self, site: Site) -> None:
        site.world.breaks.add("w-prod-1")
        report = site.provision()
        assert report.exit_code == 4
        assert {node.name: node.state for node in report.nodes}["w-prod-1"] is State.FAILED
        assert "no space left" in next(node.text for node in report.nodes if node.name == "w-prod-1")
        assert len(site.world.vms) == 5

    def test_of_the_discovery_machine_skip_what_needs_its_address(self, site: Site) -> None:
        site.world.breaks.add("consul-prod")
        report = site.provision()
        assert (report.exit_code, site.world.vms) == (3, {})
        assert {outcome.text for outcome in report.outcomes if outcome.state is State.SKIPPED} >= {
            "because of: create consul-prod"
        }

    def test_a_machine_without_an_address_is_reported_after_its_time(self, site: Site) -> None:
        class Addressless(MemoryTarget):
            address_timeout = 0.0

            def list_vms(self, cluster):  # type: ignore[no-untyped-def]
                hidden = ("w-prod-1",)
                return [
                    replace(vm, addresses=()) if vm.name in hidden else vm for vm in MemoryTarget.list_vms(self, cluster)
                ]

        from kube_provision_core import hookimpl

        Addressless.list_vms = hookimpl(Addressless.list_vms)  # type: ignore[method-assign]
        site.target = Addressless
        report = site.provision()
        assert names(report, State.FAILED) == ["await w-prod-1"]
        assert report.exit_code == 4

    def test_a_target_that_answers_no_more_ends_the_run(self, site: Site) -> None:
        from kube_provision_core import TargetError, hookimpl

        class Dying(MemoryTarget):
            @hookimpl
            def list_vms(self, cluster):  # type: ignore[no-untyped-def]
                if self.world.looks >= 2:
                    raise TargetError("connection refused")
                return MemoryTarget.list_vms(self, cluster)

        site.target, site.address = Dying, "10.200.200.1"
        report = site.provision(masters=1, workers=0)
        assert [(o.action.key, o.text) for o in report.outcomes if o.state is State.FAILED] == [
            ("await m-prod-1", "connection refused")
        ]

    def test_to_write_to_the_folder_at_the_end_hides_nothing_of_what_was_done(self, site: Site) -> None:
        site.provision()
        (site.state / "prod" / "kubeconfig").unlink()
        (site.state / "prod" / "kubeconfig").mkdir()
        report = site.provision(workers=3)
        assert "w-prod-3" in site.world.vms
        assert {outcome.state for outcome in report.outcomes} == {State.DONE}
        assert "kubeconfig" in report.folder_error
        assert (report.exit_code, report.kubeconfig) == (4, None)


class TestRefusals:
    def test_bad_machines_are_told_before_the_first_is_created(self, site: Site) -> None:
        with (
            open_session(site.config(cpu=200), site.state, alone=True) as session,
            pytest.raises(ConfigError, match="too large") as refusal,
        ):
            run.run(PROVISION, session, Options(), Operator(site))
        assert len(refusal.value.problems) == 6
        assert (site.world.vms, site.folder) == ({}, None)

    def test_a_cluster_without_its_folder_is_refused(self, site: Site) -> None:
        site.provision()
        assert site.folder
        site.folder.archive()
        with pytest.raises(FolderError, match=r"its folder of secrets .* does not"):
            site.provision(workers=5)
        assert len(site.world.vms) == 6
        assert site.folder is None

    def test_another_cluster_of_the_same_name_is_refused(self, site: Site) -> None:
        site.provision()
        assert site.folder
        site.folder.archive()
        Folder.create(site.state, "prod", {})
        with pytest.raises(FolderError, match="another cluster that is also named prod"):
            site.provision()

    def test_a_dead_cluster_in_the_record_is_refused(self, site: Site) -> None:
        site.address = "10.200.200.1"
        site.registry.record = Discovery(initialised=True, cluster_id="an older one")
        config = replace(site.config(), options=("--consul-ip", site.address))
        told = r"forgotten there: kube-provision destroy --name prod --consul-ip 10\.200\.200\.1"
        with open_session(config, site.state) as session, pytest.raises(FolderError, match=told):
            planning.plan(PROVISION, session, Options())
        assert site.world.vms == {}

    def test_a_foreign_machine_is_never_touched(self, site: Site) -> None:
        foreign = site.world.vms["w-prod-1"] = Vm("w-prod-1", "theirs", Power.ON, None)
        with pytest.raises(ConfigError, match="left alone"):
            site.provision()
        assert site.world.vms == {"w-prod-1": foreign}

    def test_a_living_cluster_without_a_living_master_gets_no_machines(self, site: Site) -> None:
        site.provision(masters=1, workers=0)
        site.registry.record = Discovery(initialised=True)
        site.world.addresses["m-prod-1"] = "127.254.1.1"
        with pytest.raises(ControlPlaneError):
            site.provision(masters=1, workers=1)
        assert "w-prod-1" not in site.world.vms

    def test_a_living_cluster_that_has_lost_all_masters_is_told_the_way_out(self, site: Site) -> None:
        site.provision(masters=1, workers=0)
        site.registry.record = Discovery(initialised=True)
        del site.world.vms["m-prod-1"]
        with pytest.raises(ControlPlaneError, match=r"has no master any more.* kube-provision destroy --name prod"):
            site.provision(masters=1, workers=1)

    def test_a_living_cluster_with_nothing_to_add_needs_no_master(self, site: Site) -> None:
        site.provision()
        site.registry.record = Discovery(initialised=True)
        assert site.provision().exit_code == 0

    @pytest.mark.parametrize("for_good", [False, True])
    def test_a_silent_existing_discovery_service_stops_the_run(self, site: Site, for_good: bool) -> None:
        """Whether another try may help is for discovery to say."""
        site.address, site.registry.silent, site.registry.for_good = "10.200.200.1", True, for_good
        with pytest.raises(DiscoveryError, match="does not answer") as refused:
            site.provision()
        assert refused.value.retryable is not for_good
        assert site.world.vms == {}

    def test_a_silent_server_of_the_clusters_own_is_told_as_booting_until_it_has_finished(self, site: Site) -> None:
        site.provision(masters=1, workers=0)
        site.registry.silent = True
        booting = "consul-prod has not finished its boot, and does not answer yet"
        assert site.status(masters=1, workers=0).discovery_error == booting
        site.world.statuses["consul-prod"] = FINISHED
        error = site.status(masters=1, workers=0).discovery_error
        assert error
        assert error != booting

    def test_a_second_run_at_the_same_time_is_refused(self, site: Site) -> None:
        with site.session(), pytest.raises(FolderError):
            site.provision()

    def test_a_run_elsewhere_that_holds_the_lock_is_respected(self, site: Site) -> None:
        site.address = "10.200.200.1"
        with site.registry.holder, pytest.raises(BusyError, match="holds the lock"):
            site.provision()
        assert site.world.vms == {}

    def test_a_target_that_cannot_destroy_is_named_before_anything_is_touched(self, site: Site) -> None:
        site.target = lacking("destroy_vm")
        with pytest.raises(PluginError, match="does not answer destroy_vm"):
            site.destroy()


class TestWaiting:
    def test_ends_when_every_node_has_finished_and_scrubs_what_discovery_sees_serve(self, site: Site) -> None:
        site.provision(masters=1, workers=0)
        healthy = MasterRecord("m-prod-1", site.world.address("m-prod-1"))
        site.registry.record = Discovery(initialised=True, masters=(healthy,))
        site.world.statuses |= {"consul-prod": FINISHED, "m-prod-1": FINISHED}
        report = site.provision(Options(wait=True), masters=1, workers=0)
        assert (report.exit_code, "scrub m-prod-1" in names(report)) == (0, True)
        assert "PRIVATE KEY" not in site.world.boot_data["m-prod-1"]

    def test_believes_no_machine_that_says_it_has_finished(self, site: Site) -> None:
        site.world.statuses |= dict.fromkeys(("consul-prod", "m-prod-1", "w-prod-1"), FINISHED)
        report = site.provision(Options(wait=True), masters=1, workers=1)
        texts = {outcome.action.key: outcome.text for outcome in report.outcomes}
        for name in ("m-prod-1", "w-prod-1"):
            assert "the secrets in its boot data are left for the next run to take away: no master" in texts[f"scrub {name}"]
        assert "PRIVATE KEY" in site.world.boot_data["m-prod-1"]
        assert "whether the masters are Ready is not known: no master can be asked" in texts["ready prod"]
        assert texts["scrub consul-prod"] == "secrets are gone from its boot data"
        assert site.folder
        assert (report.exit_code, site.folder.initialised) == (0, False)

    def test_takes_no_master_for_its_predecessor_of_the_same_name(self, site: Site) -> None:
        """Discovery goes on to call the dead one healthy for some seconds."""
        site.provision(masters=1, workers=0)
        healthy = MasterRecord("m-prod-1", site.world.address("m-prod-1"))
        site.registry.record = Discovery(initialised=False, masters=(healthy,))
        del site.world.vms["m-prod-1"]
        site.world.statuses |= {"consul-prod": FINISHED, "m-prod-1": FINISHED}
        site.provision(Options(wait=True), masters=1, workers=0)
        assert not site.world.vms["m-prod-1"].scrubbed

    def test_believes_no_discovery_machine_that_does_not_serve(self, site: Site) -> None:
        site.registry.silent = True
        site.world.statuses |= {"consul-prod": FINISHED, "m-prod-1": FINISHED}
        report = site.provision(Options(wait=True), masters=1, workers=0)
        assert not site.world.vms["consul-prod"].scrubbed
        (text,) = (outcome.text for outcome in report.outcomes if outcome.action.key == "scrub consul-prod")
        assert text.endswith("does not answer")

    def test_asks_nobody_about_a_machine_that_has_emptied_its_boot_data_itself(self, site: Site) -> None:
        site.provision(masters=1, workers=1)
        site.world.vms["w-prod-1"] = replace(site.world.vms["w-prod-1"], scrubbed=True)
        site.world.statuses |= dict.fromkeys(("consul-prod", "m-prod-1", "w-prod-1"), FINISHED)
        report = site.provision(Options(wait=True), masters=1, workers=1)
        assert "scrub w-prod-1" not in names(report)

    def test_reports_a_node_that_failed_with_its_own_words(self, site: Site) -> None:
        site.world.statuses |= {"consul-prod": FINISHED, "m-prod-1": FINISHED}
        site.world.statuses["w-prod-1"] = NodeStatus(Stage.JOIN, "failed", "token expired")
        report = site.provision(Options(wait=True), masters=1, workers=1)
        assert report.exit_code == 4
        trouble = "stage join: token expired. More: kube-provision why w-prod-1 --name prod"
        assert next(node.text for node in report.nodes if node.name == "w-prod-1") == trouble

    def test_is_bounded(self, site: Site) -> None:
        report = site.provision(Options(wait=True, finish_timeout=0.0), masters=1, workers=0)
        assert names(report, State.FAILED) == ["boot consul-prod", "boot m-prod-1"]

    def test_is_bounded_by_what_the_targets_machines_need(self, site: Site) -> None:
        class Hasty(MemoryTarget):
            boot_timeout = 0.0

        site.target = Hasty
        report = site.provision(Options(wait=True), masters=1, workers=0)
        assert names(report, State.FAILED) == ["boot consul-prod", "boot m-prod-1"]


class TestAClusterThatIsPoweredOff:
    @pytest.fixture
    def asleep(self, site: Site) -> Site:
        site.provision(masters=3, workers=2)
        site.registry.record = Discovery(initialised=True)
        for name, vm in site.world.vms.items():
            site.world.vms[name] = replace(vm, power=Power.OFF)
        return site

    def test_is_started(self, asleep: Site) -> None:
        assert asleep.provision(masters=3, workers=2).exit_code == 0
        assert {vm.power for vm in asleep.world.vms.values()} == {Power.ON}

    def test_is_started_without_anything_being_rendered(self, asleep: Site) -> None:
        called: list[str] = []
        with asleep.session(masters=3, workers=2) as session:
            session.plugins.add_hookcall_monitoring(lambda name, *_: called.append(name), lambda *_: None)
            run.run(PROVISION, session, Options(), Operator(asleep))
        assert called.count("start_vm") == 6
        assert not {"provision_vm", "os_packages", "preflight"} & set(called)

    def test_is_started_by_a_target_that_knows_no_hook_for_it_too(self, asleep: Site) -> None:
        asleep.target = lacking("start_vm")
        assert asleep.provision(masters=3, workers=2).exit_code == 0
        assert {vm.power for vm in asleep.world.vms.values()} == {Power.ON}

    @pytest.mark.parametrize("lost", ["w-prod-1", "m-prod-1"])
    def test_is_started_first_where_machines_are_missing(self, asleep: Site, lost: str) -> None:
        del asleep.world.vms[lost]
        report = asleep.provision(masters=3, workers=2)
        assert (report.exit_code, report.postponed) == (4, (lost,))
        assert f"this run starts what there is. Run again for {lost}" in report.notes[-1]
        assert {vm.power for vm in asleep.world.vms.values()} == {Power.ON}
        assert lost not in asleep.world.vms


class TestDestroy:
    def test_leaves_nothing(self, site: Site) -> None:
        site.provision()
        report = site.destroy()
        assert (report.exit_code, site.world.vms, site.folder) == (0, {}, None)

    def test_has_an_existing_discovery_service_forget_the_cluster(self, site: Site) -> None:
        site.address = "10.200.200.1"
        site.provision()
        site.destroy()
        assert site.registry.forgotten == ["prod"]

    def test_takes_along_what_a_creation_that_was_cut_short_has_left(self, site: Site) -> None:
        site.provision()
        site.world.vms["w-prod-1"] = replace(site.world.vms["w-prod-1"], power=Power.OFF, complete=False)
        site.destroy()
        assert not site.world.vms

    def test_keeps_the_old_secrets_aside(self, site: Site) -> None:
        site.provision()
        site.destroy()
        (aside,) = [path for path in site.state.iterdir() if path.is_dir()]
        assert aside.name.startswith("prod.destroyed-")

    def test_may_be_repeated(self, site: Site) -> None:
        site.provision()
        site.destroy()
        assert site.destroy().exit_code == 0

    def test_asks_before_it_touches_anything(self, site: Site) -> None:
        site.provision()

        def refuse(plan: Plan) -> None:
            raise ConfigError("not confirmed")

        with site.session() as session, pytest.raises(ConfigError):
            run.run(DESTROY, session, Options(), Operator(site, refuse))
        assert len(site.world.vms) == 6

    def test_of_one_node_leaves_the_others(self, site: Site) -> None:
        site.provision()
        site.destroy("w-prod-2")
        assert "w-prod-2" not in site.world.vms
        assert len(site.world.vms) == 5
        assert site.folder

    def test_never_takes_machines_of_another_cluster(self, site: Site) -> None:
        site.provision()
        site.world.vms["other"] = Vm("other", "theirs", Power.ON, None)
        site.destroy()
        assert list(site.world.vms) == ["other"]

    def test_refuses_a_cluster_of_the_same_name_that_is_another_folders(self, site: Site) -> None:
        site.provision()
        theirs = site.folder
        assert theirs
        theirs.path.rename(site.state / "elsewhere")
        ours = Folder.create(site.state, "prod", {})
        with pytest.raises(FolderError, match="another cluster that is also named prod"):
            site.destroy()
        assert len(site.world.vms) == 6
        assert ours.saved

    def test_of_a_cluster_whose_folder_is_lost_goes_by_its_name(self, site: Site) -> None:
        site.provision()
        assert site.folder
        site.folder.archive()
        site.destroy()
        assert site.world.vms == {}


class TestStatus:
    def test_shows_what_exists_and_what_is_missing(self, site: Site) -> None:
        site.provision(workers=1)
        site.world.statuses["m-prod-1"] = NodeStatus(Stage.JOIN, "running")
        rows = {row.name: row for row in site.status(workers=2).nodes}
        assert (rows["w-prod-1"].power, rows["w-prod-2"].power) == ("on", "missing")
        assert rows["m-prod-1"].stage == "join running"

    def test_changes_nothing(self, site: Site) -> None:
        site.status()
        assert (site.world.vms, site.folder) == ({}, None)


def test_a_plan_changes_nothing(site: Site) -> None:
    with site.session() as session:
        plan, _ = planning.plan(PROVISION, session, Options())
    assert len(plan.changes) == 7
    assert (site.world.vms, site.folder) == ({}, None)


def test_an_interrupt_is_reported_and_the_next_run_goes_on(site: Site) -> None:
    site.interrupt.request()
    report = site.provision()
    assert (report.exit_code, site.world.vms) == (130, {})
    site.interrupt = Interrupt()
    assert site.provision().exit_code == 0


def test_a_machine_of_another_cluster_that_bears_a_needed_name_is_not_taken_for_one_whose_stamp_was_emptied(
    site: Site,
) -> None:
    site.provision()
    theirs = site.world.vms["w-prod-2"]
    assert theirs.stamp
    site.world.vms["w-prod-2"] = replace(theirs, stamp=replace(theirs.stamp, cluster="test"))
    assert site.destroy().hints == ()
    assert set(site.world.vms) == {"w-prod-2"}


def test_a_second_run_for_the_cluster_waits_for_nobody_and_who_only_looks_needs_no_lock(site: Site) -> None:
    with planning.opened(PROVISION, site.config(), site.state, alone=True):
        with planning.opened(PROVISION, site.config(), site.state) as session:
            assert session.desired.masters
        with (
            pytest.raises(FolderError, match="prod"),
            planning.opened(PROVISION, site.config(), site.state, alone=True),
        ):
            pytest.fail("two runs act at once")


class TestRightsInDiscovery:
    """A service that tells machines apart knows each of them before it is made, and none that is gone."""

    def test_come_with_the_services_own_machine_where_that_is_made(self, site: Site) -> None:
        site.provision(Options(wait=False), masters=1, workers=1)
        assert site.registry.admitted == []

    def test_are_given_to_machines_that_come_later_before_they_are_made(self, site: Site) -> None:
        site.provision(Options(wait=False), masters=1, workers=1)
        made: list[list[str]] = []
        site.listen = lambda event: made.append(sorted(site.world.vms))
        site.provision(Options(wait=False), masters=1, workers=2)
        assert site.registry.admitted == [["m-prod-1", "w-prod-1", "w-prod-2"]]
        assert "w-prod-2" not in made[0]

    def test_stay_those_of_machines_that_are_not_wanted_any_more(self, site: Site) -> None:
        site.provision(Options(wait=False), masters=1, workers=2)
        site.destroy("w-prod-2", draining=None, masters=1, workers=1)
        assert site.registry.admitted == [["m-prod-1", "w-prod-1", "w-prod-2"], ["m-prod-1", "w-prod-1"]]

    def test_cannot_be_taken_away_while_it_is_silent_and_a_note_says_so(self, site: Site) -> None:
        site.provision(Options(wait=False), masters=1, workers=2)

        def listen(event: object) -> None:
            site.registry.silent = "w-prod-2" not in site.world.vms

        site.listen = listen
        report = site.destroy("w-prod-2", draining=None, masters=1, workers=1)
        assert any("rights of machines that are gone stay until the next run" in note for note in report.notes)


class Founded(DriverConfig):
    seed: str | None = option(None, help="Made with the cluster alone.")

    def founding(self) -> Mapping[str, Callable[[], str]]:
        return {"seed": lambda: "made"}


def seeds(state: Path, config: Config) -> list[str | None]:
    """What each role has of it."""
    with open_session(config, state) as session:
        session.folder.save()
        return [its.seed for its in session.config.driver("discovery").config.values()]


def founded(site: Site) -> Config:
    config = site.config()
    others = [driver for driver in config.drivers if driver.kind != "discovery"]
    return replace(config, drivers=(*others, replace(config.driver("discovery"), config=dict.fromkeys(Role, Founded()))))


def test_what_founds_a_cluster_is_made_with_its_folder_and_kept(site: Site) -> None:
    assert seeds(site.state, founded(site)) == ["made"] * len(Role)
    assert site.folder
    assert site.folder.generated == {"seed": "made"}
    assert seeds(site.state, founded(site)) == ["made"] * len(Role)


def test_a_cluster_that_was_founded_without_stays_without(site: Site) -> None:
    with open_session(site.config(), site.state) as session:
        session.folder.save()
    assert seeds(site.state, founded(site)) == [None] * len(Role)
