"""A plan as a table."""

from __future__ import annotations

from collections.abc import Callable

from kube_provision_core.cli.plans import plan_table
from kube_provision_core.engine.plan import Action, Plan


def test_shows_what_would_change(boots: Callable[..., list[Action]]) -> None:
    assert plan_table(Plan(tuple(boots("m-prod-1")))).split() == ["+", "create", "m-prod-1", "it", "does", "not", "exist"]


def test_says_where_nothing_would(boots: Callable[..., list[Action]]) -> None:
    assert plan_table(Plan(())) == "nothing to change"
    awaited = [action for action in boots("m-prod-1", "w-prod-1") if action.mark == "."]
    assert plan_table(Plan(tuple(awaited))) == "nothing to change; awaited: m-prod-1, w-prod-1"
