"""How a roll-out goes over its clusters."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from kube_provision_temporal.policy import Member, Rollout, RolloutPhase, RolloutState, SoFar, Window, faults
from kube_provision_temporal.showing import Look, text
from kube_provision_temporal.values import Approval, Work

WORK = Work("", "upgrade", ["--k8s-version", "1.37.2"], approval=Approval.NEVER)


def members(count: int) -> list[Member]:
    return [Member(f"c{number}", "lab") for number in range(1, count + 1)]


ALL = Rollout("all", members(9), WORK)


@pytest.mark.parametrize(
    ("count", "canary", "wave", "sizes"),
    [(7, 1, 3, [1, 3, 3]), (5, 2, 5, [2, 3]), (3, 0, 2, [2, 1]), (2, 5, 1, [2])],
)
def test_the_canary_comes_first_and_the_rest_in_waves(count: int, canary: int, wave: int, sizes: list[int]) -> None:
    waves = Rollout("all", members(count), WORK, canary, wave).waves
    assert [len(it) for it in waves] == sizes
    assert [member for it in waves for member in it] == members(count)


@pytest.mark.parametrize(
    ("canary", "failed", "over"),
    [(1, "c1", True), (2, "c2", True), (0, "c1", False), (1, "c2 c3", False), (1, "c2 c3 c4", True), (1, "", False)],
)
def test_of_the_canary_none_may_fail_and_of_the_rest_as_many_as_was_said(canary: int, failed: str, over: bool) -> None:
    assert replace(ALL, canary=canary, failures=2).is_over(failed.split()) is over


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        ("2026-11-30T20:00Z", 1),  # a Monday
        ("2026-11-30T21:00Z", 0),
        ("2026-12-01T03:29Z", 0),
        ("2026-12-01T03:30Z", 17.5),
        ("2026-12-02T04:00Z", 5 * 24 + 17),  # no window begins before Monday's
        ("2026-12-02T00:00Z", 0),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(now: str, hours: float) -> None:
    window = Window("22:00+01:00", "04:30+01:00", ["mon", "tue"])
    assert window.opens_in(datetime.fromisoformat(now)) == hours * 3600


@pytest.mark.parametrize(
    ("start", "end", "now", "hours"),
    [
        ("23:00-05:00", "01:00-05:00", "2026-12-01T04:00Z", 0),  # still Monday there
        ("23:00-05:00", "01:00-05:00", "2026-12-01T06:00Z", 7 * 24 - 2),
        ("08:00+02:00", "08:00Z", "2026-11-30T07:59Z", 0),  # two offsets: it lasts two hours
        ("08:00+02:00", "08:00Z", "2026-11-30T08:00Z", 7 * 24 - 2),
        ("12:00Z", "12:00Z", "2026-12-01T11:59Z", 0),  # a whole day
    ],
)
def test_a_window_is_in_the_time_of_its_offset(start: str, end: str, now: str, hours: float) -> None:
    assert Window(start, end, ["mon"]).opens_in(datetime.fromisoformat(now)) == hours * 3600


def test_of_several_windows_the_next_one_counts_and_without_any_it_is_always_time() -> None:
    now = datetime.fromisoformat("2026-11-30T12:00Z")
    windows = [Window("20:00Z", "21:00Z"), Window("13:00Z", "14:00Z"), Window("11:00Z", "11:30Z")]
    assert replace(ALL, windows=windows).opens_in(now) == 3600
    assert ALL.opens_in(now) == 0


def test_each_cluster_has_files_of_its_own() -> None:
    rollout = replace(ALL, work=replace(WORK, config=["site.yml", "{cluster}/cluster.yml"]))
    assert rollout.work_of(Member("c2", "lab")) == replace(WORK, cluster="c2", config=["site.yml", "c2/cluster.yml"])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"members": []}, "clusters: 1 to 1000 are meant, and not 0"),
        ({"members": members(1001)}, "clusters: 1 to 1000 are meant, and not 1001"),
        ({"members": [*members(2), *members(1)]}, "clusters: c1 stands there twice"),
        ({"members": [Member("c1", "/_sys/x")]}, "clusters: SITE/CLUSTER is meant: '/_sys/x' is no task queue"),
        ({"members": [Member("c1", "")]}, "clusters: SITE/CLUSTER is meant: '' is no task queue"),
        ({"members": [Member("C1", "lab")]}, "'C1' is no name of a cluster"),
        ({"name": "All/x"}, "name: 'All/x' is no name of a roll-out"),
        ({"work": replace(WORK, verb="status")}, "'status' is none of the verbs that have a plan"),
        ({"work": replace(WORK, config=["/etc/{cluster}"])}, "/etc/c1: a file below the worker's folder is meant"),
        ({"wave": 0}, "wave: 1 to 100 clusters are meant"),
        ({"wave": 101}, "wave: 1 to 100 clusters are meant"),
        ({"canary": -1}, "canary: none to 100 clusters are meant"),
        ({"failures": -1}, "failures: none to 1000"),
        ({"pause": float("nan")}, "pause: 30 days at most"),
        ({"busy_timeout": 1e15}, "busy_timeout: 14400 seconds at most"),
        ({"windows": [Window("22:00", "04:30Z")]}, "windows: 1: '22:00' is no time and its offset, such as 22:00+01:00"),
        ({"windows": [Window("22:00Z", "25:00Z")]}, "windows: 1: '25:00Z' is no time and its offset"),
        ({"windows": [Window("22:00Z", "04:30Z", ["son"])]}, "windows: 1: 'son' is none of mon, "),
        ({"windows": [Window("22:00Z", "04:30Z", [])]}, "windows: 1: it opens on no day"),
    ],
)
def test_a_policy_that_is_none_is_refused(change: dict[str, Any], line: str) -> None:
    assert faults(ALL) == []
    assert faults(replace(ALL, **change))[0].startswith(line)


def test_what_is_wrong_with_all_of_them_is_told_once() -> None:
    assert len(faults(replace(ALL, work=replace(WORK, options=["-e", "a=geheim"])))) == 2


def test_what_it_says_makes_its_digest() -> None:
    assert ALL.digest == replace(ALL, members=members(9)).digest
    assert ALL.digest == replace(ALL, pause=0.0, busy_timeout=3600.0).digest
    assert ALL.digest == replace(ALL, so_far=SoFar(["c1"], paused=True)).digest
    assert ALL.digest != replace(ALL, failures=1).digest


def test_a_roll_out_is_shown_with_what_needs_a_look() -> None:
    state = RolloutState("all", "", RolloutPhase.AT_WORK, 2, 3, ["a"], ["a"], ["b"], ["e"], {"c": "no\x1banswer"}, ["d"])
    assert text(Look("rollout/all", rollout=state, asks={"b": "0123456789abcdef"})).splitlines() == [
        "rollout/all: wave 2 of 3: at work: 1 done, 1 failed, 1 not begun",
        "  at work: b",
        "  something else is at work on: e",
        "  nodes were left to another run in: a",
        "  not begun: d",
        "  failed: c: no answer",
        "  approve it: kube-provision-temporal approve b 0123456789ab",
    ]


def test_of_many_clusters_some_are_shown() -> None:
    state = RolloutState("all", "", RolloutPhase.CLOSED, left=[f"c{it}" for it in range(100)], until="2026-12-01T21:00:00Z")
    first, left = text(Look("rollout/all", rollout=state)).splitlines()
    assert (
        first == "rollout/all: wave 0 of 0: waits for its window until 2026-12-01T21:00:00Z: 0 done, 0 failed, 100 not begun"
    )
    assert left.endswith("c39 and 60 more")
