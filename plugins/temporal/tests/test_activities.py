"""What came of a run of the program, as it travels."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kube_provision_temporal.activities import judged, left_for_later
from kube_provision_temporal.program import Ended
from kube_provision_temporal.values import Failure, Work

TRACEBACK = ("Traceback (most recent call last):", '  File "x.py", line 1', "ValueError: password geheim")


def report(retryable: bool, **more: Any) -> str:
    nodes = [
        {"name": "m-1", "state": "done", "text": "10.0.0.1"},
        {"name": "w-1", "state": "failed", "text": "no space left"},
    ]
    said = {"exit_code": 4, "retryable": retryable, "nodes": nodes, "others": [], "postponed": [], "folder_error": ""}
    return json.dumps(said | more)


@pytest.mark.parametrize(
    ("ended", "kind", "lines"),
    [
        (Ended(4, report(True), ()), Failure.TROUBLE, ["w-1: no space left"]),
        (Ended(4, report(False), ()), Failure.BAD_INPUT, ["w-1: no space left"]),
        (Ended(4, report(True, nodes=[], postponed=["w-2"]), ()), Failure.TROUBLE, ["left to another run: w-2"]),
        (Ended(4, report(True, nodes=[], folder_error="disk full"), ()), Failure.TROUBLE, ["disk full"]),
        (Ended(2, "", ("kube-provision: config.yml:3: no such key",)), Failure.BAD_INPUT, ["config.yml:3: no such key"]),
        (Ended(3, "", ("kube-provision: note: hm", "kube-provision: no answer")), Failure.UNTOUCHED, ["no answer"]),
        (Ended(3, "", ("kube-provision: no answer",), begun=True), Failure.TROUBLE, ["no answer"]),
        (Ended(2, "", ("kube-provision: another run is at work",), True), Failure.UNTOUCHED, ["another run is at work"]),
        (Ended(130, "", ()), Failure.UNTOUCHED, ["interrupted"]),
        (Ended(-9, "", TRACEBACK), Failure.TROUBLE, ["signal 9 has ended it"]),
        (Ended(1, "", TRACEBACK), Failure.BUG, ["kube-provision has ended with exit code 1; its worker's log says more"]),
    ],
)
def test_what_may_pass_is_trouble_and_a_traceback_stays_where_it_is(ended: Ended, kind: Failure, lines: list[str]) -> None:
    assert judged(ended) == (kind, lines)


@pytest.mark.parametrize(
    ("options", "output", "left"),
    [
        (["--node", "w-2", "--until", "2026-11-30T04:30Z"], report(True, nodes=[], postponed=["w-2"]), ["w-2"]),
        (["--drifted", "--until=2026-11-30T04:30Z"], report(True, nodes=[], postponed=["w-2"], folder_error="full"), []),
        (["--drifted", "--until=2026-11-30T04:30Z"], report(True), []),
        (["--no-wait"], report(True, nodes=[], postponed=["w-2"]), []),
        (["--until=2026-11-30T04:30Z"], "", []),
    ],
)
def test_what_a_time_has_left_over_is_an_end_where_nothing_else_went_otherwise(
    options: list[str], output: str, left: list[str]
) -> None:
    assert left_for_later(Work("prod", "replace", options), Ended(4, output, ())) == left
