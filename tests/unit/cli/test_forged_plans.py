"""Whatever a plan's file holds: it is carried out or refused, in lines that say why, and never a traceback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

OURS = ("-c", "config.yml", "-m", "1", "-w", "2")
NODE = "w-prod-2"
DEEP = json.loads("[" * 150 + "]" * 150)
FORGED = (
    *(None, True, 0, -1, 2**70, 1.5, float("inf"), float("nan")),
    *("", "x", "a\nb", "a\0b", "\ud800", "9" * 5000, [1], {}, {"a": [1]}, DEEP),
)
"""What stands where something else is meant."""
VERBS = ("provision", "replace", "upgrade", "destroy", "renew", "rotate", "restore", "bake")
CHANGES = st.lists(st.tuples(st.integers(0, 80), st.sampled_from([*FORGED, *VERBS, ...])), min_size=1, max_size=2)
Way = tuple[str | int, ...]


@pytest.fixture
def planned(run: Any, world: Any) -> str:
    """To destroy one of the workers that there are."""
    assert run("provision", "--no-wait", *OURS).code == 0
    plan = run("plan", "destroy", "--node", NODE, *OURS, "-o", "json")
    assert plan.code == 0
    return str(plan.out)


def ways(value: Any, way: Way = ()) -> list[Way]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(inner for key, item in items for inner in ways(item, (*way, key)))]


def put(document: Any, way: Way, value: object) -> Any:
    """The document with that value there; without what stands there where the value is `...`."""
    if not way:
        return None if value is ... else value
    changed = document.copy()
    if value is ... and len(way) == 1:
        del changed[way[0]]
    else:
        changed[way[0]] = put(document[way[0]], way[1:], value)
    return changed


def signed(document: Any) -> str:
    """As who forges a plan would: with the digest of what it says, where it has one."""
    try:
        actions = {
            f"{it['action']} {it['subject']}": it["details"] for it in document["actions"] if it["details"] is not None
        }
        decides = {**{key: document[key] for key in ("verb", "cluster", "options", "facts")}, "actions": actions}
        document = document | {"digest": hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()}
    except (TypeError, KeyError, AttributeError):
        pass
    return json.dumps(document)


@pytest.fixture
def applied(run: Any, world: Any) -> Callable[[str], str]:
    """Apply that text, and look at what came of it; "" where it was carried out, else what was said."""

    def applied(text: str) -> str:
        Path("plan.json").write_text(text)
        before = dict(world.vms)
        ran = run("apply", "plan.json", *OURS)
        if ran.code == 0:
            assert world.vms.keys() == before.keys() - {NODE}
            world.vms = before
            return ""
        assert (ran.code, world.vms) == (2, before), ran.err
        assert all(line.startswith("kube-provision: ") for line in ran.err.splitlines())
        return str(ran.err)

    return applied


def test_a_plan_that_is_signed_here_is_one(planned: str, applied: Callable[[str], str]) -> None:
    assert applied(signed(json.loads(planned))) == ""


@settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_a_forged_plan_is_refused_or_done(
    planned: str, applied: Callable[[str], str], changes: list[tuple[int, object]]
) -> None:
    document = json.loads(planned)
    for number, value in changes:
        places = ways(document)
        document = put(document, places[number % len(places)], value)
    applied(signed(document))
