"""The one door into what may be shown: nothing passes it with a secret, and nothing is missing in silence."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from kube_provision_core.contract.errors import TargetError
from kube_provision_core.support.collecting import Collection
from kube_provision_core.support.hiding import HIDDEN
from kube_provision_core.support.known import Known

SECRET = "hunter2-hunter2"


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Thing:
    name: str
    colour: Colour
    where: Path
    ports: dict[int, tuple[str, ...]]
    password: str


@pytest.fixture
def found() -> Collection:
    return Collection(Known([SECRET]))


def test_values_are_told_as_json_without_secrets(found: Collection) -> None:
    thing = Thing(f"a {SECRET}", Colour.RED, Path("/a"), {1: ("x", "token=abcdef99")}, "whatever it is")
    found.add("it.json", {"one": thing, "none": None, "set": frozenset("ba"), SECRET: True})
    assert json.loads(found.texts["it.json"]) == {
        "one": {
            "name": "a (secret)",
            "colour": "red",
            "where": "/a",
            "ports": {"1": ["x", "token=(secret)"]},
            "password": "(secret)",
        },
        "none": None,
        "set": ["a", "b"],
        "(secret)": True,
    }


def test_what_bears_its_name_beside_it_is_hidden_as_what_is_called_so(found: Collection) -> None:
    found.add("it.json", [{"name": "DB_PASSWORD", "value": "any"}, {"name": "LEVEL", "value": "any"}, {"value": 1}])
    assert [it["value"] for it in json.loads(found.texts["it.json"])] == [HIDDEN, "any", 1]


def test_texts_stay_texts(found: Collection) -> None:
    found.ask("it.txt", lambda: f"one\n{SECRET}\n")
    assert found.texts == {"it.txt": "one\n(secret)\n"}
    assert found.missing == ()


def test_what_cannot_be_asked_is_missing_in_one_line_without_secrets(found: Collection) -> None:
    def fail() -> str:
        raise TargetError(f"it refuses\n{SECRET}")

    found.ask("it.txt", fail)
    assert found.texts == {}
    assert found.missing == ("it.txt: it refuses (secret)",)


def test_a_fault_of_ours_is_missing_with_its_traceback(found: Collection) -> None:
    def fail() -> str:
        raise KeyError(SECRET)

    found.ask("machines/it.txt", fail)
    assert found.missing == ("machines/it.txt: a fault of ours, KeyError: '(secret)'",)
    assert "Traceback" in found.texts["faults/machines-it.txt.txt"]
    assert SECRET not in found.texts["faults/machines-it.txt.txt"]


def test_what_comes_too_late_is_not_asked_any_more(found: Collection) -> None:
    with found.until(time.monotonic() - 1):
        found.ask("late.txt", lambda: "late")
    found.ask("later.txt", lambda: "later")
    assert list(found.texts) == ["later.txt"]
    assert found.missing == ("late.txt: not asked any more: what was asked before has taken too long",)
