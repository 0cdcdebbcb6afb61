"""Machines that are asked, in whole runs on a target in memory: what they run is run, and what it writes comes back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from doubles.member import Member, at_work, moved
from doubles.site import Operator, Site

from kube_provision_core import NodeStatus, Power, Stage
from kube_provision_core.contract.errors import ConfigError, TargetError
from kube_provision_core.engine.executor import Event, State
from kube_provision_core.verbs.asking import TOO_LONG, Told, ask_each, execute, follow_journal, read_journal

pytestmark = pytest.mark.usefixtures("look_often")

NAME = "w-prod-1"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.provision()
    site.world.statuses = {name: NodeStatus(Stage.FINISH, "done") for name in site.world.vms}
    return site


@pytest.fixture
def living(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Member]:
    """A worker that looks into its mailbox, and whose word reaches the target."""
    stamp = site.world.vms[NAME].stamp
    assert site.folder
    assert stamp
    member = Member(tmp_path / NAME, site.folder.pki, name=NAME, stamp=stamp)
    monkeypatch.setattr("kube_provision_core.verbs.asking.asking", moved(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    with at_work(site.world, {NAME: member}):
        yield member


def run(site: Site, *command: str, node: str = NAME, seconds: int = 60) -> Told:
    with site.session() as session:
        return execute(session, node, command, seconds, Operator(site))


def refused(site: Site, node: str = NAME) -> str:
    with pytest.raises(ConfigError) as raised:
        run(site, "true", node=node)
    assert site.world.tasks == {}
    return str(raised.value)


def test_output_and_errors_come_in_their_order_with_the_programs_own_exit_code(site: Site, living: Member) -> None:
    told = run(site, "sh", "-c", "echo one; echo two >&2; printf three; exit 7")
    assert told == Told(b"one\ntwo\nthree", 0, 7)
    assert site.world.tasks == {}


def test_words_reach_the_program_as_they_are(site: Site, living: Member) -> None:
    words = ["two words", "$HOME", "'", "`id`", "a\nb", ""]
    assert run(site, "printf", "%s|", *words).text.decode() == "".join(f"{word}|" for word in words)


def test_it_has_no_input_and_no_more_time_than_was_said(site: Site, living: Member) -> None:
    assert run(site, "cat") == Told(b"", 0, 0)
    assert run(site, "sleep", "3600", seconds=1).exit_code == 124


def test_a_program_that_is_not_there_is_told_as_a_shell_does(site: Site, living: Member) -> None:
    told = run(site, "no-such-program")
    assert told.exit_code == 127
    assert b"no-such-program" in told.text


def test_of_what_is_too_much_the_end_comes_and_it_is_said_how_much_does_not(site: Site, living: Member) -> None:
    told = run(site, "head", "--bytes", "100000", "/dev/urandom")
    assert told.cut > 0
    assert (len(told.text) + told.cut, told.exit_code) == (100_000, 0)


def test_the_journal_is_asked_for_the_last_lines_of_a_unit_or_of_all(
    site: Site, living: Member, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On hosts it is the real one; here is none that anything could be in."""
    program = tmp_path / "bin/journalctl"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with site.session() as session:
        told = [read_journal(session, NAME, unit, 9, Operator(site)).text.decode().strip() for unit in (None, "kubelet")]
    assert told == [
        "--no-pager --quiet --output short-iso --lines 9",
        "--no-pager --quiet --output short-iso --lines 9 --unit kubelet",
    ]


def test_what_comes_into_a_journal_after_a_look_is_told_by_the_next(
    site: Site, living: Member, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program, content = tmp_path / "bin/journalctl", tmp_path / "journal"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*"\ncat {content}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    since: str | int = 9
    texts = []
    for said in ("one\n-- cursor: s=1;i='2\n", "", "two\nthree\n-- cursor: s=3\n"):
        content.write_text(said)
        with site.session() as session:
            told, since = follow_journal(session, NAME, "kubelet", since, Operator(site))
        texts.append(told.text.decode())
    options = "--no-pager --quiet --output short-iso --show-cursor"
    assert texts == [
        f"{options} --lines 9 --unit kubelet\none\n",
        f"{options} --after-cursor s=1;i='2 --unit kubelet\n",
        f"{options} --after-cursor s=1;i='2 --unit kubelet\ntwo\nthree\n",
    ]
    assert since == "s=3"


def test_whoever_stops_waiting_leaves_nothing_for_the_machine(site: Site) -> None:
    """It was given already, and has not been taken."""

    def stop(event: Event) -> None:
        if event.action.key == "exec w-prod-1" and event.state is State.RUNNING:
            site.interrupt.request()

    site.listen = stop
    with pytest.raises(TargetError, match=r"^w-prod-1: it was not asked: interrupted$"):
        run(site, "true")
    assert [event.action.key for event in site.events if event.state is State.DONE][-2:] == [
        "give-exec w-prod-1",
        "clear-exec w-prod-1",
    ]
    assert site.world.tasks == {}


def test_what_takes_too_long_tells_what_it_has_and_keeps_nothing_else_from_being_asked(
    site: Site, living: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kube_provision_core.verbs.asking._KILLED_AFTER", 1)
    switched_off = {name: replace(vm, power=Power.OFF) for name, vm in site.world.vms.items() if name != NAME}
    site.world.vms.update(switched_off)
    programs = {"hang": "trap '' TERM; echo one; sleep 3600", "next": "echo two"}
    with site.session() as session:
        told = ask_each(session, "ask", programs, 1, Operator(site))[NAME]
    assert told["next"] == Told(b"two\n", 0, 0)
    hung = told["hang"]
    assert isinstance(hung, Told)
    assert (hung.text, hung.exit_code in TOO_LONG) == (b"one\n", True)


# --- who cannot be asked ------------------------------------------------------------------------------------------------


def test_one_that_is_off_is_told_as_that_and_given_nothing(site: Site) -> None:
    site.world.vms[NAME] = replace(site.world.vms[NAME], power=Power.OFF)
    assert refused(site).startswith(
        "w-prod-1 is off, and can be asked nothing: start it, or ask kube-provision why w-prod-1"
    )


@pytest.mark.parametrize("name", ["consul-prod", "w-prod-9", ""])
def test_what_is_no_node_is_named_with_those_that_are(site: Site, name: str) -> None:
    nodes = "m-prod-1, m-prod-2, m-prod-3, w-prod-1, w-prod-2"
    assert refused(site, name) == f"{name}: no node of cluster prod; its nodes are {nodes}"


def test_a_cluster_that_was_never_made_has_none(tmp_path: Path) -> None:
    assert refused(Site(tmp_path / "state")) == "w-prod-1: no node of cluster prod; it has none"


def test_one_of_an_earlier_version_is_named_with_what_helps(site: Site) -> None:
    vm = site.world.vms[NAME]
    assert vm.stamp
    site.world.vms[NAME] = replace(vm, stamp=replace(vm.stamp, instance=""))
    assert refused(site).startswith("w-prod-1 was made by an earlier version and can be given no task")


def test_one_that_does_not_take_it_is_told_and_it_is_taken_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_core.verbs.asking.AT_ONCE", 0.3)
    with pytest.raises(TargetError, match=r"^w-prod-1: .*not taken after"):
        run(site, "true")
    assert site.world.tasks == {}


def test_whoever_stops_waiting_is_told_nothing(site: Site) -> None:
    site.interrupt.request()
    with pytest.raises(TargetError, match=r"^w-prod-1: it was not asked: interrupted$"):
        run(site, "true")


def test_what_an_earlier_run_left_for_it_is_taken_away_first(site: Site, living: Member) -> None:
    site.world.tasks[NAME] = b"of an earlier run"
    assert run(site, "echo", "well").text == b"well\n"


@pytest.mark.parametrize("words", [["cat", "caf\udce9"], ["caf\udce9"]])
def test_words_that_are_no_text_are_refused_before_anything_is_given(site: Site, words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"what a machine is given to run is UTF-8, and '\\udce9' is none"):
        run(site, *words)
    with pytest.raises(ConfigError, match="UTF-8"), site.session() as session:
        read_journal(session, NAME, words[-1], 5, Operator(site))
    assert site.world.tasks == {}
