"""Giving machines something to do, in whole runs on a target in memory, with machines that open what they get."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doubles.member import Member, at_work
from doubles.memory import MemoryTarget
from doubles.site import Operator, Site

from kube_provision_core import BootFragment, File, Node, NodeStatus, Power, Role, Stage, Step
from kube_provision_core.boot.tasks import make
from kube_provision_core.boot.tasks.asking import BESIDE
from kube_provision_core.cluster.desired import Desired
from kube_provision_core.contract.errors import BootError, ConfigError
from kube_provision_core.engine.executor import State
from kube_provision_core.engine.facts import Facts
from kube_provision_core.engine.plan import ClearTask, Plan
from kube_provision_core.engine.report import Report
from kube_provision_core.engine.verb import Options, Verb
from kube_provision_core.verbs import giving, planning, run
from kube_provision_core.verbs.provision import PROVISION

pytestmark = pytest.mark.usefixtures("look_often")

SCRIPT = "echo done"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.provision()
    site.world.statuses = {name: NodeStatus(Stage.FINISH, "done") for name in site.world.vms}
    return site


def verb(script: str = SCRIPT, *, role: Role = Role.WORKER, files: tuple[File, ...] = ()) -> Verb:
    """Has every worker do something."""

    def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
        nodes = [node for node in desired.nodes if node.role is role]
        giving.refuse_deaf(nodes, facts.seen, facts.remedies)
        return Plan(tuple(action for node in nodes for action in giving.given(node, task(node), "a test wishes it")))

    def task(node: Node) -> Any:
        return make("try", node, {"test": BootFragment(files=files, steps=(Step("try", Stage.FINISH, script, attempts=1),))})

    return Verb("try", ("deliver_task",), plan, report=lambda facts, options, report: report)


@pytest.fixture
def living(site: Site, tmp_path: Path) -> Iterator[dict[str, Member]]:
    """Workers that look into their mailboxes, and whose word reaches the target."""
    assert site.folder
    members: dict[str, Member] = {}
    for name, vm in site.world.vms.items():
        if name.startswith("w-") and vm.stamp:
            members[name] = Member(tmp_path / name, site.folder.pki, name=name, stamp=vm.stamp)
    with at_work(site.world, members):
        yield members


def give(site: Site, verb: Verb, **keys: Any) -> Report:
    with site.session(**keys) as session:
        return run.run(verb, session, Options(), Operator(site))


def states(report: Report) -> dict[str, State]:
    return {outcome.action.key: outcome.state for outcome in report.outcomes}


def texts(report: Report) -> dict[str, str]:
    return {outcome.action.key: outcome.text for outcome in report.outcomes}


def test_every_machine_does_it_and_nothing_stays_on_the_target(
    site: Site, living: dict[str, Member], tmp_path: Path
) -> None:
    report = give(site, verb(f"echo done >>{tmp_path}/done"))
    assert set(states(report).values()) == {State.DONE}
    assert (tmp_path / "done").read_text().split() == ["done"] * len(living)
    assert site.world.tasks == {}


def test_what_fails_is_told_with_its_error_and_nothing_stays_either(site: Site, living: dict[str, Member]) -> None:
    report = give(site, verb("echo 'it is broken' >&2; exit 7"))
    assert states(report)["try w-prod-1"] is State.FAILED
    assert "exit code 7: it is broken" in texts(report)["try w-prod-1"]
    assert states(report)["clear-try w-prod-1"] is State.DONE
    assert site.world.tasks == {}


def test_a_forged_answer_ends_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_core.engine.sight.TAKEN_SECONDS", 0.5)
    forged = '{"error":"","id":"0","mac":"00","stage":"finish","state":"done","verb":"try"}'
    site.world.statuses = {name: replace(status, task=forged) for name, status in site.world.statuses.items()}
    report = give(site, verb())
    assert states(report)["try w-prod-1"] is State.FAILED
    assert "not taken after" in texts(report)["try w-prod-1"]


def test_what_machines_have_answered_is_in_the_report(site: Site, living: dict[str, Member]) -> None:
    """Of this run's own tasks, and of no other's."""
    first = give(site, verb())
    again = give(site, verb())
    assert set(first.answers) == {(name, "try") for name in living}
    assert all(answer.status.finished and answer.verb == "try" for answer in first.answers.values())
    assert {it.id for it in first.answers.values()}.isdisjoint(it.id for it in again.answers.values())


def test_an_earlier_answer_that_is_told_again_is_none_to_this_run(
    site: Site, living: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever publishes in a machine's name repeats what it has really said once."""
    give(site, verb())
    old = {name: replace(member.heard) for name, member in living.items()}
    monkeypatch.setattr("kube_provision_core.engine.sight.TAKEN_SECONDS", 0.5)
    living.clear()
    site.world.statuses.update(old)
    report = give(site, verb())
    assert states(report)["try w-prod-1"] is State.FAILED
    assert report.answers == {}


def test_who_has_less_patience_waits_less(site: Site) -> None:
    nodes = []

    def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
        nodes.append(desired.nodes[-1])
        task = make("try", nodes[0], {"test": BootFragment(steps=(Step("try", Stage.FINISH, SCRIPT),))})
        return Plan(giving.given(nodes[0], task, "a test wishes it", patience=0.5))

    report = give(site, Verb("try", ("deliver_task",), plan, report=lambda facts, options, report: report))
    assert "not taken after 1 s (on)" in texts(report)[f"try {nodes[0].name}"]
    assert site.world.tasks == {}


def test_what_an_answer_has_room_for_is_the_targets_to_say(site: Site) -> None:
    with site.session() as session:
        assert Facts(session).answer_room == 4096 - BESIDE
    site.target = type("Wide", (MemoryTarget,), {"answer_limit": 30_000})
    with site.session() as session:
        assert Facts(session).answer_room == 30_000 - BESIDE


def test_a_machine_that_is_off_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_core.engine.sight.TAKEN_SECONDS", 0.5)
    site.world.vms["w-prod-1"] = replace(site.world.vms["w-prod-1"], power=Power.OFF)
    assert "not taken after 1 s (off)" in texts(give(site, verb()))["try w-prod-1"]


def test_what_a_broken_off_run_has_left_is_taken_away_by_the_next(site: Site) -> None:
    site.world.tasks["w-prod-1"] = b"sealed"
    with site.session() as session:
        plan, _ = planning.plan(PROVISION, session, Options())
    assert [action.subject for action in plan.actions if isinstance(action, ClearTask)] == ["w-prod-1"]
    site.provision()
    assert site.world.tasks == {}


def test_machines_of_an_earlier_version_are_named_with_what_to_do(site: Site) -> None:
    vm = site.world.vms["w-prod-2"]
    assert vm.stamp
    site.world.vms["w-prod-2"] = replace(vm, stamp=replace(vm.stamp, instance=""))
    with pytest.raises(ConfigError) as refused:
        give(site, verb())
    (line,) = str(refused.value).splitlines()
    assert line.startswith("w-prod-2 was made by an earlier version")
    assert "kube-provision destroy --name prod --node w-prod-2" in line
    assert site.world.tasks == {}


def test_what_a_target_cannot_carry_is_refused_before_anything_is_given(site: Site) -> None:
    noise = File("/srv/noise", os.urandom(200_000))
    with pytest.raises(ConfigError, match=r"w-prod-1: try takes \d+ bytes, and target memory carries \d+"):
        give(site, verb(files=(noise,)))
    assert site.world.tasks == {}


def test_a_plan_is_the_same_as_long_as_it_would_do_the_same(site: Site) -> None:
    def digest(script: str) -> str:
        chosen = verb(script)
        with site.session() as session:
            return planning.plan(chosen, session, Options())[1].digest

    assert digest("true") == digest("true") != digest("false")


@pytest.mark.parametrize("more", [{"packages": frozenset({"jq"})}, {"cloud_config": {"timezone": "UTC"}}])
def test_what_only_a_boot_can_do_is_refused(site: Site, more: dict[str, Any]) -> None:
    with site.session() as session, pytest.raises(BootError, match="test: a task is files and steps, and cannot bring"):
        make("try", session.desired.workers[0], {"test": BootFragment(**more)})


def test_a_worker_is_given_no_private_key(site: Site) -> None:
    key = File("/srv/key", "-----BEGIN PRIVATE KEY-----\n")
    with site.session() as session, pytest.raises(BootError, match="private key"):
        make("try", session.desired.workers[0], {"test": BootFragment(files=(key,))})
