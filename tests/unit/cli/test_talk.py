"""What is said to people."""

from __future__ import annotations

import pytest
from doubles.member import NODE

from kube_provision_core import BootFragment
from kube_provision_core.boot.tasks import make
from kube_provision_core.cli.reports import report_table
from kube_provision_core.cli.talk import complain, note
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.machines import Cluster
from kube_provision_core.engine.executor import Outcome, State
from kube_provision_core.engine.nodes import UncordonNode
from kube_provision_core.engine.plan import ArrangeVms
from kube_provision_core.engine.report import Report
from kube_provision_core.verbs.giving import given

EVIL = "gone\x1b[2J\nkube-provision: all is well\u202e"


def test_every_problem_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    complain("a: is wrong\nb: is wrong too")
    assert capsys.readouterr().err == "kube-provision: a: is wrong\nkube-provision: b: is wrong too\n"


def test_what_a_server_says_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    complain("vCenter: \x1b[2J\x07")
    assert capsys.readouterr().err == "kube-provision: vCenter: [2J\n"


@pytest.mark.parametrize("login", ["ann:hunter2", "hunter2"])
def test_a_url_that_a_library_quotes_is_shown_without_its_login(login: str, capsys: pytest.CaptureFixture[str]) -> None:
    complain(f"cannot connect to proxy http://{login}@proxy.example:3128/, for https://x.example/a@b")
    said = "cannot connect to proxy http://(secret)@proxy.example:3128/, for https://x.example/a@b"
    assert capsys.readouterr().err == f"kube-provision: {said}\n"


def test_a_note_is_one_line_whatever_a_machine_says(capsys: pytest.CaptureFixture[str]) -> None:
    note(EVIL)
    assert capsys.readouterr().err == "kube-provision: note: gone [2J kube-provision: all is well\n"


def test_a_hint_is_one_line_whatever_a_machine_says() -> None:
    seen = Observation(Cluster("prod", "id", "1.36", frozenset()))
    report = Report("prod", (Outcome(ArrangeVms(cluster="prod"), State.DONE),), seen, hints=(EVIL,))
    assert report_table(report).splitlines()[-1] == "hint: gone [2J kube-provision: all is well"


def test_a_task_is_named_once_in_a_report_and_not_how_it_came_and_went() -> None:
    task = make("upgrade", NODE, {"test": BootFragment()})
    actions = [*given(NODE, task, "it is old"), UncordonNode(name=NODE.name)]
    seen = Observation(Cluster("prod", "id", "1.36", frozenset()))
    report = Report("prod", tuple(Outcome(action, State.DONE) for action in actions), seen)
    assert report.nodes[0].actions == ("give-upgrade", "upgrade", "clear-upgrade", "uncordon")
    assert "  upgrade, uncordon  " in report_table(report).splitlines()[1]
