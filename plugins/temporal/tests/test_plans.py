"""Plans as they travel."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kube_provision_temporal.plans import faults, printable, read, shown
from kube_provision_temporal.values import Agreed, Approval, Work

TOKEN = "abcdef.0123456789abcdef"


def printed(**more: Any) -> str:
    create = {"mark": "+", "action": "create", "subject": "m-1", "reason": "it is missing", "after": []}
    said = {
        "verb": "replace",
        "cluster": "prod",
        "options": {"archive": "", "abandon_old": False, "again": False, "nodes": ["m-1"]},
        "digest": "d1",
        "changes": 1,
        "actions": [
            {"mark": "-", "action": "destroy", "subject": "m-1", "reason": "", "after": [], "details": {"id": "vm-1"}},
            create | {"details": {"spec": "s1", "version": "1.34.1"}},
            {"mark": ".", "action": "await", "subject": "m-1", "reason": "", "after": [], "details": None},
        ],
        "notes": [],
        "facts": {"program": "0.1.0"},
    }
    return json.dumps(said | more)


@pytest.mark.parametrize(
    ("was", "now", "asked"),
    [
        ('"vm-1"', '"vm-1"', []),
        ('"vm-1"', '"vm-2"', ["destroy m-1"]),
        ('"s1"', '"s2"', ["create m-1"]),
        ('"1.34.1"', '"1.35.0"', ["create m-1"]),
    ],
)
def test_what_was_agreed_to_is_an_action_with_all_that_is_particular_about_it(was: str, now: str, asked: list[str]) -> None:
    agreed = {it.key for it in read(printed()).actions}
    again = read(printed().replace(was, now))
    assert [it.name for it in again.awaiting(Approval.ALWAYS, agreed)] == asked


def test_what_a_plan_tells_is_without_secrets_and_in_lines_that_steer_no_terminal() -> None:
    said = json.loads(printed(notes=[f"m-1: \x1b[2Jjoin --token {TOKEN}"]))
    said["actions"][0]["reason"] = f"it says\n{TOKEN}"
    plan = read(json.dumps(said))
    assert plan.notes == ["m-1: [2Jjoin --token (secret)"]
    assert plan.actions[0].reason == "it says (secret)"
    assert TOKEN not in plan.document


def test_texts_are_shown_as_one_line_each() -> None:
    assert shown(["a\nb\x1b[1m", "https://me:geheim@proxy:3128/"]) == ["a b [1m", "https://(secret)@proxy:3128/"]
    assert printable("  a\x07  b") == "  a   b"


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"verb": "restore"}, False),
        ({"cluster": "other"}, False),
        ({"digest": "d2"}, False),
        ({"options": {"archive": "https://mine/backup"}}, False),
        ({"options": {"abandon_old": True}}, False),
        ({"options": []}, False),
    ],
)
def test_a_document_is_the_plan_of_its_work(change: dict[str, Any], fits: bool) -> None:
    agreed = Agreed(Work("prod", "replace"), "d1", printed(**change))
    assert (faults(agreed) == []) is fits


@pytest.mark.parametrize("document", ["", "[]", "null", "{}", "[" * 100_000])
def test_what_is_no_plan_is_refused_in_a_line(document: str) -> None:
    assert faults(Agreed(Work("prod", "replace"), "d1", document)) == [
        "this is no plan of replace for prod that was agreed to"
    ]
