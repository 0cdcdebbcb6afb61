"""Where a run's moments stand on the axis of its page."""

from __future__ import annotations

from itertools import pairwise

import pytest
from doubles.told_run import RUNNING, Told

from kube_provision_core.cli.page.chart import Chart, Lane, clock, counts, duration
from kube_provision_core.engine.executor import State


def lane(told: Told, name: str = "w-1") -> Lane:
    return Chart(told.recorder.began, told.recorder.ended).lane(name, told.recorder.timeline.lanes()[name])


def test_bars_are_side_by_side_from_the_beginning_to_the_end() -> None:
    told = Told("w-1")
    told.boots("w-1")
    bars = lane(told).bars
    assert bars[0].x == 0
    assert all(later.x == pytest.approx(bar.x + bar.width, abs=0.5) for bar, later in pairwise(bars))
    assert bars[-1].x + bars[-1].width <= 100


def test_what_took_no_time_at_the_very_end_is_seen_within_the_axis() -> None:
    told = Told("w-1")
    told.boots("w-1")
    told.recorder.ended = 160.4
    last = lane(told).bars[-1]
    assert last.width > 0
    assert last.x + last.width <= 100


def test_a_failure_is_marked_where_it_happened_and_told_whole() -> None:
    told = Told("w-1")
    told.fails("w-1", why="swap is on")
    told.recorder.ended = 240
    failed = lane(told)
    assert (failed.state, failed.ends, failed.problems) == ("failed", (50.0,), ("boot: swap is on",))
    assert failed.moments[-1].text == "because of: boot w-1"


def test_what_has_not_ended_when_the_run_did_reaches_to_the_end() -> None:
    told = Told("w-1")
    told.say(0, "create", "w-1", RUNNING)
    told.recorder.ended = 10
    assert (lane(told).state, lane(told).bars[0].width) == ("abandoned", 100)
    assert "had not ended when the run did" in [moment.text for moment in lane(told).moments]


def test_what_was_never_begun_has_no_bar() -> None:
    told = Told("w-1")
    assert (lane(told).state, lane(told).bars, lane(told).took) == ("not begun", (), "")


def test_moments_are_told_in_the_order_of_time() -> None:
    told = Told("w-1")
    told.say(1, "scrub", "w-1", RUNNING)
    told.say(2, "create", "w-1", RUNNING)
    assert [moment.what for moment in lane(told).moments if moment.lasted] == ["scrub", "create"]


@pytest.mark.parametrize("length", [0, 0.4, 3, 59, 61, 700, 3600, 90000, 10**7])
def test_the_axis_has_a_readable_number_of_marks_however_long_a_run_takes(length: float) -> None:
    marks = Chart(5.0, 5.0 + length).marks
    assert marks[0].x == 0
    assert len(marks) <= 9 or length > 8 * 86400
    assert all(0 <= mark.x <= 100 for mark in marks)


def test_lanes_are_counted_the_worst_first() -> None:
    told = Told("w-1", "w-2")
    told.fails("w-1")
    assert counts([lane(told, "w-2"), lane(told, "w-1")]) == {"failed": 1, "not begun": 1}


def test_a_run_with_several_words_for_one_machine_says_the_worst() -> None:
    told = Told("w-1")
    told.say(0, "create", "w-1", State.DONE)
    told.say(0, "boot", "w-1", State.ABANDONED)
    told.say(0, "scrub", "w-1", State.SKIPPED)
    assert lane(told).state == "abandoned"


def test_times_are_told_for_people() -> None:
    assert [clock(59), clock(61.9), clock(3661)] == ["0:59", "1:01", "1:01:01"]
    assert [duration(0.04), duration(61.4), duration(3725)] == ["0.0 s", "1 min 01 s", "1 h 02 min"]
