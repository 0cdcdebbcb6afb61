"""`history`: who has changed what, and whether that is all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kube_provision_core.cli.commands.history import HEAD
from kube_provision_core.folder.history import Run
from kube_provision_core.folder.store import Folder

CONFIG = ("--config", "config.yml", "--state", "state")
LINES = Path("state/prod/history.jsonl")


@pytest.fixture
def told(run, world):
    """A run that has made a cluster, and one that was killed; then one that has failed."""
    assert run("provision", *CONFIG, "--no-wait").code == 0
    folder = Folder.open(Path("state"), "prod")
    assert folder
    history = folder.history
    history.begin(Run("destroy", {"nodes": ["w-prod-1"]}, "5e" * 32, {"~": 2, "-": 1}, "0.1.0"), "")
    history.end(history.begin(Run("upgrade", {}, "", {}, "0.1.0"), "0f" * 32), 3, {"failed": 1})
    history.begin(Run("replace", {}, "", {}, "0.1.0"), "")
    return folder


def test_a_row_tells_of_each_run_the_newest_last(run, told: Folder) -> None:
    ran = run("history", *CONFIG)
    head, first, killed, failed, last, _, lost = ran.out.splitlines()
    assert (ran.code, head.split()) == (0, ["BEGUN", "BY", "VERB", "CHANGES", "PLAN", "ENDED", "HOW"])
    whole = told.history.read().runs
    made = next(iter(whole.values()))
    assert first.startswith(f"{made.begun}  {made.by}  provision ")
    assert first.endswith(f"{made.digest[:12]}  {made.ended}  done")
    assert ("  destroy w-prod-1  -1 ~2 " in killed, killed.endswith("  5e5e5e5e5e5e  -                     killed")) == (
        True,
        True,
    )
    assert failed.endswith("Z  failed")
    assert last.endswith("  -                     at work still, or killed")
    assert lost.startswith("lost: as the run of 20")
    assert "discovery knew of a line 0f0f0f0f0f0f… that was not there" in lost
    assert ran.line == (
        "kube-provision: note: discovery knows no head of it: nobody would notice that its last lines were cut"
    )


def test_programs_get_all_of_it(run, told: Folder) -> None:
    data = json.loads(run("history", *CONFIG, "--output", "json").out)
    assert list(data) == ["cluster", "folder", "runs", "head", "known", "unknown", "fault"]
    assert list(data["runs"][0]) == [
        *("verb", "options", "digest", "changes", "program", "begun", "by", "lost"),
        *("ended", "exit_code", "outcomes"),
    ]
    assert (data["head"], data["known"]) == (told.history.read().head, "")


def test_what_was_changed_is_told_after_all_that_is_there(run, told: Folder) -> None:
    LINES.write_bytes(LINES.read_bytes().replace(b'"verb":"destroy"', b'"verb":"upgrade"'))
    ran = run("history", *CONFIG)
    assert (ran.code, len(ran.out.splitlines())) == (2, 7)
    assert ran.err.splitlines()[-1] == (
        "kube-provision: the history of cluster prod is not as it was written: line 4 was not written after what is before "
        "it: lines were cut there, or changed"
    )


def test_what_was_changed_to_another_kind_of_value_is_told_too(run, told: Folder) -> None:
    LINES.write_bytes(LINES.read_bytes().replace(b'"options":{', b'"options":{"nodes":5,', 1))
    ran = run("history", *CONFIG)
    assert ran.code == 2
    assert "is not as it was written" in ran.err


def test_a_folder_that_no_run_has_changed_anything_with_has_none(run, told: Folder) -> None:
    LINES.unlink()
    ran = run("history", *CONFIG)
    assert (ran.code, ran.out) == (0, "nothing was changed so far, as far as the folder tells\n")


def test_no_secret_of_the_folder_stands_in_it(run, told: Folder) -> None:
    content = LINES.read_bytes()
    secrets = [told.token, told.certificate_key, *told.generated.values()]
    assert not [secret for secret in secrets if secret.encode() in content]


def test_what_nobody_could_compare_is_told_as_such(run, world, told: Folder) -> None:
    world.vms.clear()
    ran = run("history", *CONFIG)
    note = "kube-provision: note: it was not compared with what discovery knows: there is no discovery service"
    assert (ran.code, ran.line) == (0, note)


def test_the_page_shows_the_columns_that_there_are() -> None:
    page = Path(__file__).parents[3] / "docs" / "history.md"
    (head,) = [line for line in page.read_text().splitlines() if line.startswith("BEGUN")]
    assert tuple(head.split()) == HEAD
