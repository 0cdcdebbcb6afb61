"""What is remembered of a run: how long each thing went on, and what kind of thing it was."""

from __future__ import annotations

import pytest
from doubles.told_run import DONE, RUNNING, Told

from kube_provision_core import NodeStatus, Stage
from kube_provision_core.cli.page.timeline import Kind, Piece, Span
from kube_provision_core.engine.executor import Outcome, State


def span(told: Told, key: str) -> Span:
    (found,) = (it for spans in told.recorder.timeline.lanes().values() for it in spans if it.action.key == key)
    return found


def boot(told: Told) -> list[Piece]:
    return span(told, "boot w-1").pieces


def test_every_action_of_the_plan_has_its_place_before_anything_happens() -> None:
    lanes = Told("m-1", "w-1").recorder.timeline.lanes()
    assert {name: [it.action.verb for it in spans] for name, spans in lanes.items()} == {
        "m-1": ["create", "boot", "scrub"],
        "w-1": ["create", "boot", "scrub"],
    }


def test_a_boot_is_told_by_its_stages_its_waits_and_its_further_attempts() -> None:
    told = Told("w-1")
    told.boots("w-1")
    assert [(piece.since, piece.stage, piece.kind) for piece in boot(told)] == [
        (20, "", Kind.WAIT),
        (24, "", Kind.WAIT),
        (31, "prepare", Kind.WORK),
        (40, "install", Kind.WORK),
        (62, "install", Kind.RETRY),
        (80, "discover", Kind.WORK),
        (92, "join", Kind.WAIT),
        (130, "join", Kind.WORK),
        (150, "finish", Kind.WORK),
    ]


def test_a_node_that_has_failed_and_begins_anew_is_in_trouble() -> None:
    told = Told("w-1")
    told.fails("w-1")
    assert boot(told)[-1].kind is Kind.TROUBLE


def test_words_that_differ_in_numbers_alone_are_the_same_wait() -> None:
    told = Told("w-1")
    for at in range(60):
        told.say(at, "boot", "w-1", RUNNING, f"{60 - at} s more")
    assert [(piece.since, piece.text) for piece in boot(told)] == [(0, "1 s more")]


def test_the_same_status_in_other_words_goes_on() -> None:
    told, status = Told("w-1"), NodeStatus(Stage.JOIN, "running", doing="joins the cluster")
    told.say(0, "boot", "w-1", RUNNING, "joins (usually within 1 min)", status)
    told.say(9, "boot", "w-1", RUNNING, "joins (longer than usual)", status)
    assert [(piece.since, piece.text) for piece in boot(told)] == [(0, "joins (longer than usual)")]


def test_what_an_interrupt_has_left_is_told_by_its_outcome() -> None:
    told = Told("w-1")
    told.say(0, "create", "w-1", RUNNING)
    create, *_ = told.actions
    told.recorder.timeline.settle([Outcome(create, State.ABANDONED, "still running")], 7.0)
    told.say(8, "create", "w-1", DONE, "too late")
    left = span(told, "create w-1")
    assert (left.state, left.text, left.ended) == (State.ABANDONED, "still running", 7.0)


@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.SKIPPED])
def test_what_has_its_outcome_already_keeps_it(state: State) -> None:
    told = Told("w-1")
    told.say(3, "create", "w-1", state, "told")
    told.recorder.timeline.settle([Outcome(told.actions[0], state, "once more")], 9.0)
    assert (span(told, "create w-1").text, span(told, "create w-1").ended) == ("told", 3)
