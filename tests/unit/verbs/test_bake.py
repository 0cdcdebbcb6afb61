"""What is planned for templates, from what is there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from doubles.facts import GivenFacts

from kube_provision_core.contract.boot import Boot, Stage
from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.contract.machines import Machine, Role
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.contract.templates import Baked, Baking, Image, Template
from kube_provision_core.engine.facts import Known
from kube_provision_core.engine.plan import Plan
from kube_provision_core.engine.verb import Options
from kube_provision_core.verbs.bake import plan

IMAGE = Image("aaaabbbbcccc", Boot("bake", "bake-1", "#cloud-config\n"), "#!/bin/bash\n", Machine(2, 4))
NEW = Template("nodes", frozenset({Role.MASTER, Role.WORKER}), source="debian-13", where="/templates/nodes")
HOLDS_IT = Baked(IMAGE.spec, "2026-11-27T10:00:00Z", versions={"kubeadm": "1.36.4-1.1"})
DONE = NodeStatus(Stage.FINISH, "done")


def planned(*templates: Template, again: bool = False) -> Plan:
    facts = GivenFacts(templates=Known(templates), image=lambda template: IMAGE)
    return plan(None, facts, Options(again=again))


def keys(template: Template, *, again: bool = False) -> list[str]:
    return [action.key for action in planned(template, again=again).actions]


def test_a_missing_template_is_baked_awaited_and_finished() -> None:
    assert keys(NEW) == ["bake nodes", "await nodes", "finish nodes"]


def test_each_waits_for_the_one_before() -> None:
    after = [action.after for action in planned(NEW).actions]
    assert after == [set(), {"bake nodes"}, {"bake nodes", "await nodes"}]


def test_two_templates_do_not_wait_for_each_other() -> None:
    other = replace(NEW, name="consul", roles=frozenset({Role.DISCOVERY}))
    actions = planned(NEW, other).actions
    assert {action.subject for action in actions if not action.after} == {"nodes", "consul"}
    assert all(key.endswith(action.subject) for action in actions for key in action.after)


def test_a_template_that_holds_what_is_wanted_is_left_and_told_of() -> None:
    made = planned(replace(NEW, exists=True, baked=HOLDS_IT))
    assert made.actions == ()
    assert made.notes == ("template nodes holds what is wanted (2026-11-27: kubeadm 1.36.4-1.1); --again bakes it anew",)


def test_it_is_baked_anew_when_that_is_asked_for() -> None:
    assert keys(replace(NEW, exists=True, baked=HOLDS_IT), again=True) == ["bake nodes", "await nodes", "finish nodes"]


def test_a_template_that_holds_something_else_is_replaced() -> None:
    older = replace(HOLDS_IT, spec="000011112222")
    assert keys(replace(NEW, exists=True, baked=older)) == ["bake nodes", "await nodes", "finish nodes"]


def test_a_machine_that_still_bakes_for_an_earlier_run_is_awaited() -> None:
    baking = Baking(IMAGE.spec, running=True, status=NodeStatus(Stage.INSTALL, "running"))
    assert keys(replace(NEW, baking=baking)) == ["await nodes", "finish nodes"]


def test_a_machine_that_was_done_when_an_earlier_run_ended_is_finished() -> None:
    baking = Baking(IMAGE.spec, running=False, status=DONE, baked=HOLDS_IT)
    assert keys(replace(NEW, baking=baking)) == ["finish nodes"]


@pytest.mark.parametrize(
    "baking",
    [
        Baking("000011112222", running=True),
        Baking(IMAGE.spec, running=False),
        Baking(IMAGE.spec, running=True, status=NodeStatus(Stage.INSTALL, "failed", "no space")),
        Baking(IMAGE.spec, running=False, status=DONE),
    ],
    ids=["of another content", "powered off", "failed", "done without a record"],
)
def test_what_an_earlier_run_has_left_is_replaced(baking: Baking) -> None:
    assert keys(replace(NEW, baking=baking)) == ["bake nodes", "await nodes", "finish nodes"]


def test_somebody_elses_template_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        planned(replace(NEW, exists=True), again=True)
    assert str(refused.value) == (
        "template nodes (master, worker): /templates/nodes exists and was not made by bake; it is left alone. Give the "
        "template that is to be made another name"
    )


def test_a_template_without_a_source_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^template nodes .*: the configuration does not say what to bake it from"):
        planned(replace(NEW, source=""))


def test_all_problems_are_told_at_once() -> None:
    templates = [replace(NEW, source=""), replace(NEW, name="other", exists=True)]
    with pytest.raises(ConfigError) as refused:
        planned(*templates)
    assert len(refused.value.problems) == 2
