"""A run and its user: the plan shown first, Ctrl-C once and twice, the report in the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from kube_provision_core import Cluster, ConfigError
from kube_provision_core.cli.progress import Progress
from kube_provision_core.cli.running import Running, finish
from kube_provision_core.cluster import Readiness
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.known import Known
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.engine.executor import Event, Outcome, Sight, State, apply
from kube_provision_core.engine.identity import Identity
from kube_provision_core.engine.plan import ArrangeVms, Plan
from kube_provision_core.engine.report import Report

IDENTITY = Identity("provision", "prod", {}, {}, {})
CLUSTER = Cluster("prod", "id", "1.36", frozenset())


@pytest.fixture(autouse=True)
def heeds_its_terminal() -> Iterator[None]:
    """Whoever runs the tests may have started them to outlive theirs (`nohup`)."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def play(plan: Plan, perform, *, parallel: int = 1) -> Report:
    """What `run.provision` does around a plan."""

    def watch(awaited):
        return {action.key: Sight(State.DONE, "10.0.0.1") for action in awaited}

    with Running("prod", Progress("plain")) as run:
        run.begin(plan, IDENTITY)
        outcomes = apply(plan.actions, perform, watch, parallel=parallel, listen=run.listen, interrupt=run.interrupt)
    return Report("prod", outcomes, Observation(CLUSTER), run.interrupt.stop.is_set(), plan.notes)


def test_the_plan_and_its_notes_are_shown_before_anything_runs(boots, capfd) -> None:
    play(Plan(tuple(boots("m-prod-1")), ("two masters survive no loss",)), lambda _: "")
    assert capfd.readouterr().err.splitlines()[:3] == [
        "kube-provision: note: two masters survive no loss",
        "+  create  m-prod-1  it does not exist",
        "prod: m-prod-1 create running",
    ]


@pytest.mark.parametrize(("mode", "told"), [("auto", False), ("plain", True)])
def test_a_run_that_only_asks_tells_of_each_question_where_that_is_wanted(mode, told, boots, capfd) -> None:
    """A bundle asks every machine four times, and most are written where nobody watches."""
    with Running("prod", Progress(mode), shows_plan=False) as run:
        run.begin(Plan(tuple(boots("m-prod-1"))), IDENTITY)
        run.listen(Event(boots("m-prod-1")[0], State.RUNNING))
        assert ("m-prod-1 create running" in capfd.readouterr().err) is told
        os.kill(os.getpid(), signal.SIGINT)
        assert run.interrupt.stop.wait(20)
    assert "prod: stopping: waiting for what runs" in capfd.readouterr().err


def test_nothing_begins_when_the_user_does_not_agree(boots, capfd) -> None:
    def refuse() -> None:
        raise ConfigError("no")

    with Running("prod", Progress("plain"), refuse) as run, pytest.raises(ConfigError):
        run.begin(Plan(tuple(boots("m-prod-1"))), IDENTITY)
    assert "running" not in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_interrupt_lets_what_runs_end_and_begins_nothing(number, boots, capfd) -> None:
    def perform(action) -> str:
        os.kill(os.getpid(), number)
        time.sleep(0.3)
        return "made"

    report = play(Plan(tuple(boots("m-prod-1", "m-prod-2"))), perform)
    states = {outcome.action.key: outcome.state for outcome in report.outcomes}
    assert states["create m-prod-1"] is State.DONE
    assert states["create m-prod-2"] is State.SKIPPED
    assert report.exit_code == 130
    assert "prod: stopping: waiting for what runs" in capfd.readouterr().err


def test_a_second_interrupt_leaves_what_runs(boots, capfd) -> None:
    ends = threading.Event()

    def perform(action) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        said, deadline = "", time.monotonic() + 60
        while "stopping" not in (said := said + capfd.readouterr().err) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)
        ends.wait(60)
        return "made"

    report = play(Plan(tuple(boots("m-prod-1"))), perform)
    ends.set()
    assert report.abandoned
    assert "prod: leaving what still runs" in capfd.readouterr().err


def test_signals_are_as_before_when_the_run_is_over(boots) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    play(Plan(tuple(boots("m-prod-1"))), lambda _: "")
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_run_that_is_to_outlive_its_terminal_does(boots) -> None:
    def perform(action) -> str:
        os.kill(os.getpid(), signal.SIGHUP)
        return "made"

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert play(Plan(tuple(boots("m-prod-1"))), perform).exit_code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


ABANDONING = """
import threading
from kube_provision_core import Cluster
from kube_provision_core.engine.executor import Outcome, State
from kube_provision_core.cli.running import finish
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.engine.plan import ArrangeVms
from kube_provision_core.engine.report import Report

threading.Thread(target=threading.Event().wait).start()   # as a thread that waits for a target that never answers
outcomes = (Outcome(ArrangeVms(cluster="prod"), State.ABANDONED, "left"),)
finish(Report("prod", outcomes, Observation(Cluster("prod", "id", "1.36", frozenset())), interrupted=True), "json")
"""


def test_after_the_report_an_abandoned_run_ends_without_its_threads() -> None:
    ran = subprocess.run([sys.executable, "-c", ABANDONING], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 130
    assert json.loads(ran.stdout)["interrupted"] is True


def test_an_abandoned_run_whose_report_nobody_reads_ends_too() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        ran = subprocess.run(
            [sys.executable, "-c", ABANDONING], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert ran.returncode == 74


def test_the_report_says_what_happened_per_machine(boots, capfd) -> None:
    create, wait = boots("m-prod-1")
    outcomes = (
        Outcome(create, State.DONE, "/dc/vm/m-prod-1", 2.04),
        Outcome(wait, State.FAILED, "no address after 300 s", 300.0),
        Outcome(ArrangeVms(cluster="prod"), State.DONE, "", 0.1),
    )
    assert finish(Report("prod", outcomes, Observation(CLUSTER)), "table") == 4
    assert capfd.readouterr().out.splitlines() == [
        "NAME      ROLE    STATE   DONE           SECONDS  ADDRESS",
        "m-prod-1  master  failed  create, await  302.0    -",
        "prod      -       done    arrange        0.1      -",
        "",
        "m-prod-1: no address after 300 s",
    ]


def test_a_run_that_waited_shows_what_kubernetes_calls_ready(boots, capfd) -> None:
    create, _ = boots("m-prod-1")
    readiness = Known(Readiness((ClusterNode("m-prod-1", False, (), None),)))
    report = Report("prod", (Outcome(create, State.DONE),), Observation(CLUSTER), readiness=readiness, hints=("apply one",))
    finish(report, "table")
    assert capfd.readouterr().out.splitlines() == [
        "NAME      ROLE    STATE  DONE    SECONDS  ADDRESS  READY",
        "m-prod-1  master  done   create  0.0      -        no",
        "",
        "hint: apply one",
    ]


def test_the_report_has_the_documented_keys(boots, capfd) -> None:
    create, _ = boots("m-prod-1")
    arrange = ArrangeVms(cluster="prod")
    finish(Report("prod", (Outcome(create, State.DONE), Outcome(arrange, State.DONE)), Observation(CLUSTER)), "json")
    data = json.loads(capfd.readouterr().out)
    assert list(data) == [
        "cluster",
        "exit_code",
        "retryable",
        "interrupted",
        "nodes",
        "others",
        "postponed",
        "kubeconfig",
        "notes",
        "hints",
        "folder_error",
    ]
    assert list(data["nodes"][0]) == ["name", "role", "state", "actions", "address", "text", "seconds", "ready"]
    assert list(data["others"][0]) == ["subject", "state", "action", "text", "seconds"]
