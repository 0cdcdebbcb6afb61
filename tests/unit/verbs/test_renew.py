"""Which masters renew their certificates, in which order, and what keeps any of them from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from doubles.site import Site

from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.contract.machines import Power
from kube_provision_core.engine.plan import AwaitTask, GiveTask, Plan
from kube_provision_core.engine.verb import Options
from kube_provision_core.verbs import planning
from kube_provision_core.verbs.renew import RENEW

pytestmark = pytest.mark.usefixtures("look_often")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.provision()
    assert site.folder
    (site.folder.path / "initialised").touch()
    return site


def planned(site: Site, *nodes: str) -> Plan:
    with site.session() as session:
        return planning.plan(RENEW, session, Options(nodes=nodes))[0]


def refused(site: Site, *nodes: str) -> str:
    with pytest.raises(ConfigError) as problem:
        planned(site, *nodes)
    assert site.world.tasks == {}
    return str(problem.value)


def test_every_master_has_its_turn_once_the_one_before_is_done(site: Site) -> None:
    plan = planned(site)
    gives = [action for action in plan.actions if isinstance(action, GiveTask)]
    waits = [action for action in plan.actions if isinstance(action, AwaitTask)]
    assert [action.subject for action in gives] == ["m-prod-1", "m-prod-2", "m-prod-3"]
    assert [action.after for action in gives] == [frozenset(), *(frozenset({wait.key}) for wait in waits[:-1])]


def test_those_that_are_named_have_theirs_alone_and_in_that_order(site: Site) -> None:
    plan = planned(site, "m-prod-3", "m-prod-1", "m-prod-3")
    assert [action.subject for action in plan.actions if isinstance(action, GiveTask)] == ["m-prod-3", "m-prod-1"]


def test_what_a_run_that_was_broken_off_has_left_is_taken_away_first_wherever_it_is(site: Site) -> None:
    site.world.tasks["w-prod-1"] = b"of an earlier run"
    plan = planned(site, "m-prod-1")
    assert [(action.key, action.after) for action in plan.actions[:2]] == [
        ("clear-task w-prod-1", frozenset()),
        ("give-renew m-prod-1", frozenset({"clear-task w-prod-1"})),
    ]


@pytest.mark.parametrize("name", ["w-prod-1", "consul-prod", "m-prod-9"])
def test_what_is_no_master_is_named_with_those_that_are(site: Site, name: str) -> None:
    known = "its masters are m-prod-1, m-prod-2, m-prod-3"
    assert refused(site, name) == f"{name}: no master of cluster prod; {known}"


def _power_off(site: Site) -> None:
    site.world.vms["m-prod-2"] = replace(site.world.vms["m-prod-2"], power=Power.OFF)


def _make_old(site: Site) -> None:
    vm = site.world.vms["m-prod-2"]
    assert vm.stamp
    site.world.vms["m-prod-2"] = replace(vm, stamp=replace(vm.stamp, instance=""))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [(_power_off, "m-prod-2 does not run"), (_make_old, "m-prod-2 was made by an earlier version")],
    ids=["off", "old"],
)
def test_one_that_cannot_do_it_is_named_before_any_begins(site: Site, spoil: Callable[[Site], None], why: str) -> None:
    spoil(site)
    assert refused(site).startswith(why)
    assert planned(site, "m-prod-1").actions


def test_a_cluster_that_does_not_live_has_nothing_to_renew(tmp_path: Path) -> None:
    site = Site(tmp_path / "state")
    assert "is not initialised" in refused(site)
    assert refused(site, "m-prod-1") == "m-prod-1: no master of cluster prod; it has none"
