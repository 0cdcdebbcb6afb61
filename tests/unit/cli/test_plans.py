"""A plan as a table."""

from __future__ import annotations

from collections.abc import Callable

from kube_provision_core.cli.plans import plan_table
from kube_provision_core.engine.nodes import DrainNode
from kube_provision_core.engine.plan import Action, Plan
from kube_provision_core.engine.wish import Draining


def test_shows_what_would_change(boots: Callable[..., list[Action]]) -> None:
    assert plan_table(Plan(tuple(boots("m-prod-1")))).split() == ["+", "create", "m-prod-1", "it", "does", "not", "exist"]


def test_says_where_nothing_would(boots: Callable[..., list[Action]]) -> None:
    assert plan_table(Plan(())) == "nothing to change"
    awaited = [action for action in boots("m-prod-1", "w-prod-1") if action.mark == "."]
    assert plan_table(Plan(tuple(awaited))) == "nothing to change; awaited: m-prod-1, w-prod-1"


def test_shows_what_ends_pods_although_a_run_looks_at_it() -> None:
    drain = DrainNode(name="w-prod-1", reason="its pods move elsewhere", draining=Draining())
    assert plan_table(Plan((drain,))) == ".  drain  w-prod-1  its pods move elsewhere"
