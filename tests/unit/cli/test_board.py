"""Where the live view says every machine stands, and what it shows of many."""

from __future__ import annotations

import pytest

from kube_provision_core.cli.board import Board, Standing
from kube_provision_core.engine.executor import Event, State


@pytest.fixture
def actions(boots):
    return boots("m-prod-1", "m-prod-2")


@pytest.fixture
def board(actions) -> Board:
    return Board(actions)


def row(board: Board, subject: str):
    return next(row for row in board.rows(99) if row.subject == subject)


def test_before_anything_happens_all_wait(board) -> None:
    assert board.counts() == {Standing.WAITING: 2}


def test_a_machine_is_done_when_its_last_action_is(board, actions) -> None:
    create, wait, *_ = actions
    board.take(Event(create, State.DONE, "/dc/vm/m-prod-1"), 1.0)
    assert row(board, "m-prod-1").standing is Standing.WAITING
    board.take(Event(wait, State.RUNNING), 2.0)
    assert row(board, "m-prod-1").standing is Standing.RUNNING
    board.take(Event(wait, State.DONE, "10.0.0.1"), 3.0)
    assert (row(board, "m-prod-1").standing, row(board, "m-prod-1").text) == (Standing.DONE, "10.0.0.1")


def test_news_about_one_action_does_not_restart_its_clock(board, actions) -> None:
    board.take(Event(actions[1], State.RUNNING), 2.0)
    board.take(Event(actions[1], State.RUNNING, "10.0.0.1 join"), 9.0)
    assert (row(board, "m-prod-1").since, row(board, "m-prod-1").text) == (2.0, "10.0.0.1 join")


def test_what_is_skipped_after_a_failure_does_not_hide_it(board, actions) -> None:
    board.take(Event(actions[0], State.FAILED, "quota"), 1.0)
    board.take(Event(actions[1], State.SKIPPED, "because of: create m-prod-1"), 1.0)
    assert (row(board, "m-prod-1").standing, row(board, "m-prod-1").text) == (Standing.FAILED, "quota")


def test_of_many_machines_the_failed_and_running_ones_are_shown_in_the_plan_s_order(boots) -> None:
    actions = boots(*(f"w-prod-{index}" for index in range(1, 201)))
    board = Board(actions)
    board.take(Event(actions[2 * 149], State.RUNNING), 1.0)
    board.take(Event(actions[2 * 179], State.FAILED, "quota"), 1.0)
    board.take(Event(actions[2 * 9], State.RUNNING), 1.0)
    assert [row.subject for row in board.rows(3)] == ["w-prod-10", "w-prod-150", "w-prod-180"]
    assert [row.subject for row in board.rows(1)] == ["w-prod-180"]
    assert board.counts() == {Standing.FAILED: 1, Standing.RUNNING: 2, Standing.WAITING: 197}


def test_a_screen_without_room_shows_no_rows(board) -> None:
    assert board.rows(-1) == ()
