"""Whole runs of `bake` on a target in memory: what becomes of a template, and what is told of one that could not be had."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from doubles.memory import World
from doubles.site import Operator, Site
from doubles.templates import Shelf, ShelfConfig, ShelfTarget

from kube_provision_core.cli.plans import plan_data
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import ConfigError, FolderError
from kube_provision_core.contract.machines import Role
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine import identity
from kube_provision_core.engine.executor import State
from kube_provision_core.engine.report import Report
from kube_provision_core.engine.verb import Options
from kube_provision_core.engine.watch import PATIENCE
from kube_provision_core.folder.on_disk import lock_templates
from kube_provision_core.verbs import planning, run
from kube_provision_core.verbs.bake import BAKE, script

pytestmark = pytest.mark.usefixtures("look_often")

CONFIG = ShelfConfig(template="nodes", bake_from="plain-1")
STEPS = ["bake nodes", "await nodes", "finish nodes"]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def site(tmp_path: Path, shelf: Shelf) -> Site:
    class OfTheShelf(ShelfTarget):
        def __init__(self, config: Mapping[Role, ShelfConfig], world: World | None = None) -> None:
            super().__init__(config, shelf, world)

    return Site(tmp_path / "state", target=OfTheShelf, target_config=CONFIG)


@pytest.fixture
def bake(site: Site) -> Callable[..., Report]:
    def bake(options: Options | None = None) -> Report:
        with planning.opened(BAKE, site.config(), site.state, alone=True) as session:
            return run.run(BAKE, session, options or Options(), Operator(site))

    return bake


def texts(report: Report, state: State) -> dict[str, str]:
    return {outcome.action.key: outcome.text for outcome in report.outcomes if outcome.state is state}


def test_a_template_is_baked_awaited_finished_and_told_of(bake: Callable[..., Report], shelf: Shelf) -> None:
    report = bake()
    summary = "2026-11-27: kubeadm 1.37.1-1.1"
    assert texts(report, State.DONE) == dict(zip(STEPS, ("from plain-1", summary, summary), strict=True))
    assert report.templates
    assert [(template.name, template.exists) for template in report.templates] == [("nodes", True)]
    assert (shelf.finished, report.exit_code, report.abandoned) == (["nodes"], 0, False)


def test_what_holds_everything_already_is_not_made_again(bake: Callable[..., Report], shelf: Shelf) -> None:
    bake()
    report = bake()
    assert (report.outcomes, shelf.finished) == ((), ["nodes"])
    assert report.notes == ("template nodes holds what is wanted (2026-11-27: kubeadm 1.37.1-1.1); --again bakes it anew",)


def test_one_that_fails_is_not_finished(bake: Callable[..., Report], shelf: Shelf) -> None:
    shelf.endings["nodes"] = NodeStatus(Stage.INSTALL, "failed", "exit code 100")
    report = bake()
    assert texts(report, State.FAILED) == {"await nodes": "stage install: exit code 100"}
    assert texts(report, State.SKIPPED) == {"finish nodes": "because of: await nodes"}
    assert (report.exit_code, shelf.finished) == (4, [])


@pytest.mark.parametrize(("silent", "ending"), [(PATIENCE - 1, State.DONE), (1000, State.FAILED)])
def test_a_target_that_falls_silent_is_asked_again_for_a_while(
    bake: Callable[..., Report], shelf: Shelf, silent: int, ending: State
) -> None:
    shelf.silent = silent
    report = bake()
    awaited = next(outcome for outcome in report.outcomes if outcome.action.key == "await nodes")
    assert awaited.state is ending
    assert (report.templates == ()) is (ending is State.FAILED), "nobody can say how they are now"


def test_a_second_run_waits_for_nobody(site: Site, bake: Callable[..., Report]) -> None:
    with lock_templates(site.state), pytest.raises(FolderError):
        bake()


def test_who_only_plans_needs_no_lock_and_a_kept_plan_is_carried_out(site: Site, shelf: Shelf) -> None:
    with lock_templates(site.state), planning.opened(BAKE, site.config(), site.state) as session:
        plan, made = planning.plan(BAKE, session, Options())
    agreed = identity.read(json.dumps(plan_data(plan, made)), "plan.json")
    assert agreed.facts["templates"] == {"nodes": False}
    with planning.opened(BAKE, site.config(), site.state, alone=True) as session:
        run.run(BAKE, session, Options(), Operator(site), agreed)
    assert shelf.finished == ["nodes"]
    with planning.opened(BAKE, site.config(), site.state) as session, pytest.raises(ConfigError) as refused:
        run.run(BAKE, session, Options(), Operator(site), agreed)
    assert any(line.startswith("templates nodes: was no, is ") for line in refused.value.problems)


@pytest.mark.parametrize("roles", [(), (Role.WORKER,)])
def test_the_script_is_that_of_the_roles_that_are_asked_for(site: Site, roles: tuple[Role, ...]) -> None:
    with site.session() as session:
        assert ("kubeadm" in script(session, roles)) is True


def test_a_role_that_has_no_machines_has_no_script(site: Site) -> None:
    site.address = "10.200.200.1"
    with site.session() as session, pytest.raises(ConfigError, match="asks for no machine of role discovery"):
        script(session, (Role.DISCOVERY,))


def test_what_keeps_a_template_from_being_baked_is_told_before_anything_is_made(
    bake: Callable[..., Report], shelf: Shelf
) -> None:
    shelf.hinders = ("/templates has no room",)
    with pytest.raises(ConfigError, match=r"^/templates has no room$"):
        bake()
    assert shelf.images == []


# --- what other verbs say of templates -------------------------------------------------------------------------------


@pytest.fixture
def refusal(site: Site) -> Callable[[], list[str]]:
    """What a run of `provision` says that is refused."""

    def refusal() -> list[str]:
        with pytest.raises(ConfigError) as refused:
            site.provision(masters=1, workers=0, cpu=200)
        return list(refused.value.problems)

    return refusal


def test_a_template_that_is_yet_to_be_baked_is_told_with_the_command(refusal: Callable[[], list[str]], shelf: Shelf) -> None:
    shelf.hinders = ("/templates has no room",)
    told = refusal()
    assert told[0].startswith("template nodes is yet to be baked: kube-provision bake")
    assert told[1] == "/templates has no room"
    assert {line.partition(": ")[2] for line in told[2:]} == {"too large"}
    assert "there is no template nodes" not in told


def test_templates_that_are_misnamed_are_told_beside_what_else_is_wrong(
    refusal: Callable[[], list[str]], shelf: Shelf
) -> None:
    shelf.misnamed = "bake_from: is no template"
    told = refusal()
    assert told[-1] == "bake_from: is no template"
    assert "there is no template nodes" in told


def test_a_target_without_templates_says_what_is_wrong_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too large"):
        Site(tmp_path / "other").provision(masters=1, workers=0, cpu=200)
