"""`upgrade` on the command line: what its user says, and a line for whatever is in the way, before anything is touched."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kube_provision_core import cluster
from kube_provision_core.cluster import Living
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.etcd import EtcdMember, EtcdQuorum
from kube_provision_core.cluster.versions import CONTROL_PLANE, StaticPod
from kube_provision_core.contract.machines import Power
from kube_provision_core.engine.facts import Facts, Known
from kube_provision_core.folder.store import Folder

CONFIG = ("-c", "config.yml", "-m", "3", "-w", "1")
MASTERS = ("m-prod-1", "m-prod-2", "m-prod-3")
TO = ("--k8s-version", "1.37.1", "--no-backup")


class TestWhatIsSaid:
    """Refused before anything is looked at."""

    def refused(self, run, world, *arguments: str) -> str:
        ran = run(*arguments, *CONFIG)
        assert (ran.code, world.looks) == (2, 0)
        return ran.line

    @pytest.fixture(params=[("upgrade",), ("plan", "upgrade"), ("replace", "w-prod-1", "--yes")], ids=" ".join)
    def verb(self, request: pytest.FixtureRequest) -> tuple[str, ...]:
        return request.param

    @pytest.mark.parametrize(
        "said",
        [
            "soon",
            "4",
            "24:00",
            "12:60",
            "-1:00",
            "2026-11-30",
            "2026-13-01T04:30",
            "2026-11-30T04:30+99:00",
            "0001-01-01T00:00",
        ],
    )
    def test_a_time_is_one_of_the_clock_or_of_a_day(self, run, world, verb, said: str) -> None:
        line = self.refused(run, world, *verb, f"--until={said}")
        assert f"'{said}' is" in line
        assert "say 04:30 for the next one, or 2026-11-30T04:30" in line or "is over already" in line

    def test_a_time_that_is_over_lets_nothing_begin(self, run, world, verb) -> None:
        line = self.refused(run, world, *verb, "--until", "2026-01-01T04:30Z")
        assert "'2026-01-01T04:30Z' is over already" in line

    def test_only_one_half_of_the_nodes_is_the_only_one(self, run, world) -> None:
        assert "one of the two" in self.refused(run, world, "upgrade", "--masters-only", "--workers-only")

    @pytest.mark.parametrize("command", [("upgrade",), ("plan", "upgrade")])
    @pytest.mark.parametrize("option", ["--k8s-version=1.37.1", "--no-backup", "--allow-removed-apis"])
    def test_what_is_about_kubernetes_is_not_about_the_system(
        self, run, world, command: tuple[str, ...], option: str
    ) -> None:
        line = self.refused(run, world, *command, "--os", option)
        assert f"{option.partition('=')[0]} is about Kubernetes, which `upgrade --os` leaves as it is" in line

    @pytest.mark.parametrize("option", ["--os", "--masters-only", "--workers-only", "--no-backup", "--allow-removed-apis"])
    def test_its_options_are_no_other_verbs(self, run, world, option: str) -> None:
        assert f"{option} goes with `plan upgrade`" in self.refused(run, world, "plan", "replace", option)
        assert f"No such option '{option}'" in self.refused(run, world, "replace", option).replace(":", "")

    @pytest.mark.parametrize(
        ("option", "verbs"), [("--node=w-prod-1", "replace"), ("--drifted", "replace"), ("--again", "bake")]
    )
    def test_options_of_others_are_not_its_own(self, run, world, option: str, verbs: str) -> None:
        line = self.refused(run, world, "plan", "upgrade", option)
        assert f"{option.partition('=')[0]} goes with `plan {verbs}`" in line

    def test_nodes_are_not_named(self, run, world) -> None:
        assert "w-prod-1" in self.refused(run, world, "upgrade", "w-prod-1")

    @pytest.mark.parametrize("version", ["", "1", "v1.37.1", "1.37.x", "newest"])
    def test_a_version_is_one(self, run, world, version: str) -> None:
        line = self.refused(run, world, "upgrade", "--k8s-version", version)
        assert "--k8s-version: must be a Kubernetes version such as 1.37 or 1.37.1" in line


def test_a_time_of_the_clock_is_the_next_one(run, site) -> None:
    for hours in (-1, 1):
        said = datetime.now() + timedelta(hours=hours)
        seconds = site.until(f"{said:%H:%M}")
        assert 0 < seconds - time.time() <= 24 * 3600
        assert f"{datetime.fromtimestamp(seconds):%H:%M}" == f"{said:%H:%M}"


def test_a_time_of_a_day_is_of_this_hosts_clock_or_of_its_offset(site) -> None:
    assert site.until("2099-11-30T04:30") == datetime(2099, 11, 30, 4, 30).timestamp()
    assert site.until("2099-11-30T04:30+02:00") == datetime(2099, 11, 30, 2, 30, tzinfo=UTC).timestamp()


class Site:
    """A cluster of three masters and a worker that lives, at 1.36.2, as its API shows it."""

    def __init__(self, run: Callable, world) -> None:
        self.run, self.world = run, world
        nodes = [
            ClusterNode(name, True, ("control-plane",) if name in MASTERS else (), None, kubelet="1.36.2")
            for name in (*MASTERS, "w-prod-1")
        ]
        members = tuple(EtcdMember(name, name, ()) for name in MASTERS)
        self.living = Living(tuple(nodes), members, "1.36.2", EtcdQuorum(members, dict.fromkeys(MASTERS, MASTERS[0])))
        self.removed: tuple[str, ...] = ()
        self.objections: tuple[str, ...] = ()

    def change(self, name: str, **more: object) -> None:
        nodes = tuple(replace(it, **more) if it.name == name else it for it in self.living.nodes)  # type: ignore[arg-type]
        self.living = replace(self.living, nodes=nodes)

    def refusal(self, *arguments: str) -> list[str]:
        """The lines of `upgrade`, which are those of its plan."""
        before = dict(self.world.vms)
        told = [self.run(*verb, *arguments, *CONFIG) for verb in (("plan", "upgrade"), ("upgrade",))]
        assert (told[0].code, told[0].err) == (told[1].code, told[1].err)
        assert told[0].code in (2, 3)
        assert self.world.vms == before
        return told[0].err.splitlines()

    def until(self, said: str) -> float:
        ran = self.run("plan", "upgrade", *TO, "--until", said, *CONFIG, "-o", "json")
        assert ran.code == 0, ran.err
        return float(json.loads(ran.out)["options"]["rolling"]["until"])


@pytest.fixture
def site(run, world, monkeypatch: pytest.MonkeyPatch) -> Site:
    assert run(*CONFIG, "--no-wait").code == 0
    folder = Folder.open(Path("state/kube-provision"), "prod")
    assert folder
    folder.mark_initialised()
    site = Site(run, world)
    pods = {name: [StaticPod(part, "1.36.2", True) for part in CONTROL_PLANE] for name in MASTERS}
    monkeypatch.setattr(cluster, "look", lambda *_, **__: site.living)
    monkeypatch.setattr(Facts, "control_planes", lambda _: pods)
    monkeypatch.setattr(Facts, "backup", Known(None))
    monkeypatch.setattr(Facts, "removed_apis", lambda *_: site.removed)
    monkeypatch.setattr(Facts, "unread_settings", lambda _: ())
    monkeypatch.setattr(Facts, "objections_to", lambda *_, **__: site.objections)
    return site


class TestWhatIsInTheWay:
    @pytest.mark.parametrize(
        ("version", "said"),
        [
            ("1.36.1", "cluster prod runs 1.36.2, and Kubernetes does not go back to 1.36.1"),
            ("1.35.9", "cluster prod runs 1.36.2, and Kubernetes does not go back to 1.35.9"),
            (
                "1.37",
                "1.37 is no exact version, which an upgrade needs: name one of its patches, as in kube-provision upgrade",
            ),
            ("1.38.0", "is not a supported Kubernetes version; supported: 1.35, 1.36, 1.37"),
        ],
    )
    def test_a_way_that_kubernetes_does_not_go(self, site: Site, version: str, said: str) -> None:
        (line,) = site.refusal("--k8s-version", version, "--no-backup")
        assert said in line

    def test_two_minors_at_once(self, site: Site) -> None:
        site.living = replace(site.living, version="1.35.4")
        (line,) = site.refusal(*TO)
        assert "runs 1.35.4, and minors come one after another: upgrade it to a patch of 1.36 first" in line

    def test_no_backup_that_was_asked_for_or_done_without(self, site: Site) -> None:
        (line,) = site.refusal("--k8s-version", "1.37.1")
        assert "say --no-backup" in line

    def test_nodes_that_are_not_well_a_line_each(self, site: Site) -> None:
        site.change("m-prod-2", ready=False, message="PLEG is not healthy")
        site.change("w-prod-1", kubelet="1.37.2")
        first, second = site.refusal(*TO)
        assert "m-prod-2 is not Ready: PLEG is not healthy. More: kube-provision why m-prod-2 --name prod" in first
        assert (
            "w-prod-1: its kubelet is at 1.37.2, and Kubernetes does not go back to 1.37.1: another tool has upgraded it"
            in second
        )

    def test_a_machine_that_is_off(self, site: Site) -> None:
        site.world.vms["w-prod-1"] = replace(site.world.vms["w-prod-1"], power=Power.OFF)
        (line,) = site.refusal(*TO)
        assert "w-prod-1 does not run: start it, which kube-provision provision --name prod" in line

    def test_apis_that_clients_use_and_the_version_lacks(self, site: Site) -> None:
        site.removed = ("v1beta1 widgets.example (removed in 1.37)",)
        (line,) = site.refusal(*TO)
        assert "use what 1.37 does not serve: v1beta1 widgets.example (removed in 1.37)" in line
        assert site.run("plan", "upgrade", *TO, "--allow-removed-apis", *CONFIG).code == 0

    def test_workers_before_masters(self, site: Site) -> None:
        (line,) = site.refusal(*TO, "--workers-only")
        assert "workers come after all masters" in line

    def test_pods_that_cannot_leave(self, site: Site) -> None:
        site.objections = ("w-prod-1: pod shop/cart has no controller, and would be lost",)
        assert site.refusal(*TO) == ["kube-provision: w-prod-1: pod shop/cart has no controller, and would be lost"]

    def test_a_cluster_that_does_not_live(self, run, world) -> None:
        assert run(*CONFIG, "--no-wait").code == 0
        assert "is not initialised, and has nothing to upgrade" in run("upgrade", *TO, *CONFIG).line


def test_a_cluster_that_nobody_knows_has_nothing_to_upgrade(run, world) -> None:
    ran = run("upgrade", *TO, *CONFIG, "-n", "other")
    assert (ran.code, world.vms) == (2, {})
    assert "other" in ran.line


def test_its_plan_says_what_was_asked_for_and_no_other_is_applied(site: Site) -> None:
    planned = site.run("plan", "upgrade", *TO, "--masters-only", "--until", "2099-11-30T04:30", *CONFIG, "-o", "json")
    said = json.loads(planned.out)
    assert (said["options"]["only"], said["options"]["backup"]) == ("master", False)
    assert not [action for action in said["actions"] if action["subject"] == "w-prod-1"]
    Path("plan.json").write_text(planned.out)
    ran = site.run("apply", "plan.json", "--k8s-version", "1.37.0", *CONFIG)
    assert ran.code == 2
    assert "upgrade would no longer do what was planned, and nothing was touched" in ran.err


def test_a_version_that_all_nodes_have_is_nothing_to_do(site: Site) -> None:
    ran = site.run("upgrade", "--k8s-version", "1.36.2", *CONFIG)
    assert ran.code == 0
    assert "every node that was asked for is at 1.36.2" in ran.err
    assert "nothing to change" in ran.err


def test_a_system_that_cannot_upgrade_itself_is_named(site: Site) -> None:
    (line,) = site.refusal("--os")
    assert line.endswith("os plain does not answer upgrade_packages, which this command needs; nothing was changed")
