"""`--report` on whole command lines: a page however the run ends, or a refusal before it begins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from doubles.told_run import Told

from kube_provision_core.cli.page.recorder import MARK
from kube_provision_core.cli.program import SUMMARIES, program
from kube_provision_core.cli.progress import Progress
from kube_provision_core.cli.running import Running
from kube_provision_core.contract.kept_files import leftovers

PROVISION = ["-c", "config.yml", "-m", "1", "-w", "1", "--no-wait"]
PAGE = Path("run.html")
REPORT = ["--report", PAGE]


@pytest.fixture(autouse=True)
def nothing_half_written(world):
    yield
    assert list(leftovers(Path())) == []


def test_whatever_shows_progress_can_write_a_page() -> None:
    context = program.make_context("kube-provision", ["--help"], resilient_parsing=True)
    options = {name: {it.name for it in program.get_command(context, name).params} for name in SUMMARIES}
    assert {name for name, found in options.items() if "report" in found} == {
        name for name, found in options.items() if "progress" in found
    }


def test_a_run_is_written_down(run, world) -> None:
    ran = run("provision", *PROVISION, *REPORT)
    text = PAGE.read_text()
    assert ran.code == 0
    assert '<p class="badge good">done</p>' in text
    assert "<h1>provision prod</h1>" in text
    assert all(name in text for name in world.vms)
    assert PAGE.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("verb", [["destroy", "--yes"], ["replace", "--yes", "--no-drain", "w-prod-1"]])
def test_other_verbs_have_the_same_page(run, world, verb: list[str]) -> None:
    run(*PROVISION)
    run(*verb, *PROVISION[:-1], *REPORT)
    assert PAGE.read_bytes().startswith(MARK)


def test_so_has_what_was_planned_before(run, world) -> None:
    plan = run("plan", *PROVISION, "-o", "json").out
    Path("plan.json").write_text(plan)
    assert run("apply", "plan.json", *PROVISION[:-1], *REPORT).code == 0
    assert "<h1>provision prod</h1>" in PAGE.read_text()
    assert json.loads(plan)["digest"] in PAGE.read_text()


def test_so_has_a_bake(run, shelf) -> None:
    assert run("bake", "-c", "config.yml", *REPORT).code == 0
    assert "<h1>bake</h1>" in PAGE.read_text()


def test_a_failure_is_in_it(run, world) -> None:
    world.breaks.add("w-prod-1")
    assert run(*PROVISION, *REPORT).code == 4
    assert "<dt>w-prod-1</dt><dd>create: creating w-prod-1: no space left</dd>" in PAGE.read_text()


def test_a_refusal_is_in_it(run, world) -> None:
    ran = run("replace", "--yes", "w-prod-9", *PROVISION[:-1], *REPORT)
    assert ran.code != 0
    assert "w-prod-9" in PAGE.read_text()


def test_an_interrupt_before_the_first_action_is_in_it(run, world, monkeypatch) -> None:
    def interrupt(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("kube_provision_core.cli.running.plan_table", interrupt)
    assert run(*PROVISION, *REPORT).code == 130
    assert '<p class="badge warn">interrupted</p>' in PAGE.read_text()


def test_an_earlier_page_is_replaced(run, world) -> None:
    run(*PROVISION, *REPORT)
    before = PAGE.read_text()
    run(*PROVISION, *REPORT)
    assert PAGE.read_text() != before


def refused(run, world, path: object) -> str:
    ran = run(*PROVISION, "--report", path)
    assert (ran.code, world.vms) == (2, {})
    return ran.line


def test_a_file_of_somebody_else_is_not(run, world) -> None:
    PAGE.write_text("<!doctype html>\nmine")
    assert "run.html: is no report of ours" in refused(run, world, PAGE)
    assert PAGE.read_text() == "<!doctype html>\nmine"


def test_nor_is_what_a_link_leads_to(run, world) -> None:
    Path("other.html").write_bytes(MARK)
    PAGE.symlink_to("other.html")
    assert "is no plain file" in refused(run, world, PAGE)


@pytest.mark.parametrize("path", [".", "missing/run.html", "config.yml/run.html", "/proc/run.html"])
def test_where_nothing_can_be_written_nothing_is_run(run, world, path: str) -> None:
    assert path.strip("./") in refused(run, world, path)


def test_nothing_that_runs_no_plan_takes_it(run, world, shelf) -> None:
    assert "--report goes with `certificates renew`" in run("certificates", "-c", "config.yml", *REPORT).line
    assert "--report does not go with --script" in run("bake", "--script", "-c", "config.yml", *REPORT).line
    assert not PAGE.exists()


def test_a_page_that_cannot_be_written_any_more_is_said_and_ends_no_run(tmp_path, capfd) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    told = Told("w-1").end()
    assert told.report
    with Running("prod", Progress("plain", folder / "run.html")) as user:
        shutil.rmtree(folder)
        user.end(told.report)
    assert user.finish(told.report, "table") == 74
    assert [user.exit_code(code) for code in (0, 7)] == [74, 7]
    assert "run.html: the report cannot be written any more: No such file or directory" in capfd.readouterr().err
