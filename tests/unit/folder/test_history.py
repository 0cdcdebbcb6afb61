"""A cluster's history: lines that are only ever added, each written after the one before it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from doubles.states import sealed

from kube_provision_core.contract.errors import BusyError
from kube_provision_core.folder.history import Chain, History, Run
from kube_provision_core.folder.store import Folder

RUN = Run("provision", {"nodes": ["w-prod-1"]}, "0f" * 32, {"+": 3}, "0.1.0")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.create(tmp_path, "prod", {})


@pytest.fixture
def history(folder: Folder) -> History:
    return folder.history


def twice(history: History) -> Chain:
    """Two runs, of which the first was killed."""
    history.begin(RUN, "")
    history.end(history.begin(RUN, ""), 4, {"done": 2, "failed": 1})
    return history.read()


def test_a_folder_of_before_there_was_one_has_none(history: History) -> None:
    chain = history.read()
    assert (chain.lines, chain.head, chain.fault, dict(chain.runs)) == ((), "", "", {})


def test_a_run_is_told_with_who_what_when_and_how_it_ended(history: History) -> None:
    begun = history.begin(RUN, "")
    (run,) = history.read().runs.values()
    assert (run.verb, run.options, run.digest, run.changes, run.program) == (
        "provision",
        {"nodes": ["w-prod-1"]},
        "0f" * 32,
        {"+": 3},
        "0.1.0",
    )
    assert (" on " in run.by, run.begun[-1], run.ended, run.exit_code) == (True, "Z", "", None)
    assert history.end(begun, 4, {"done": 2, "failed": 1}) == history.read().head
    (run,) = history.read().runs.values()
    assert (run.begun <= run.ended, run.exit_code, run.outcomes) == (True, 4, {"done": 2, "failed": 1})


def test_a_run_that_was_killed_has_no_end(history: History) -> None:
    killed, ended = twice(history).runs.values()
    assert (killed.ended, killed.exit_code, ended.exit_code) == ("", None, 4)


def test_each_line_is_known_by_its_head_for_good(history: History) -> None:
    first = history.begin(RUN, "")
    second = history.end(first, 0, {})
    chain = history.read()
    assert (chain.head, chain.has(first), chain.has(second), chain.has(""), chain.has("0f")) == (
        second,
        True,
        True,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("cut", "line"),
    [
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[0], lines[2]], 2),
        (lambda lines: [lines[0], lines[1].replace(b'"verb":"provision"', b'"verb":"status"'), lines[2]], 3),
        (lambda lines: [lines[0], b"", *lines[1:]], 2),
        (lambda lines: [lines[0], b"[" * 100_000, *lines[1:]], 2),
        (lambda lines: [b"[]", *lines], 1),
    ],
)
def test_what_was_cut_or_changed_before_the_last_line_is_told_by_its_place(history: History, cut, line: int) -> None:  # type: ignore[no-untyped-def]
    chain = Chain(tuple(cut(list(twice(history).lines))))
    assert chain.fault.startswith(f"line {line} was not written after what is before it")
    assert chain.runs is not None


def test_what_was_cut_or_changed_at_the_end_is_told_by_its_head(history: History) -> None:
    chain = twice(history)
    cut = Chain(chain.lines[:-1])
    assert (cut.fault, cut.has(chain.head)) == ("", False)
    changed = Chain((*chain.lines[:-1], chain.lines[-1].replace(b":4", b":0")))
    assert (changed.fault, changed.has(chain.head)) == ("", False)


def test_a_run_after_a_cut_goes_on_and_tells_for_good_what_was_lost(history: History, folder: Folder) -> None:
    lost = twice(history).head
    folder.files.change({"history.jsonl": None})
    history.begin(RUN, lost)
    chain = history.read()
    (run,) = chain.runs.values()
    assert (chain.fault, run.lost) == ("", lost)


def test_lines_of_a_later_version_and_of_nobody_do_no_harm(history: History) -> None:
    begun = history.begin(RUN, "")
    chain = history.read().followed_by({"begun": 7, "options": [], "new": True})
    chain = chain.followed_by({"ended": 7, "of": begun, "exit_code": "0", "outcomes": 3}).followed_by({"of": [1]})
    first, second = Chain.parse(chain.content).runs.values()
    assert (first.ended, first.exit_code, first.outcomes) == ("7", None, {})
    assert (second.begun, second.options, second.verb) == ("7", {}, "")


def test_a_cluster_that_is_put_aside_ends_what_is_under_way(history: History, folder: Folder) -> None:
    history.begin(RUN, "")
    aside = Path(folder.archive())
    lines = (aside / "history.jsonl").read_text().splitlines()
    assert [json.loads(line).get("exit_code") for line in lines] == [None, 0]


def test_a_cluster_that_is_put_aside_later_adds_nothing(history: History, folder: Folder) -> None:
    before = twice(history)
    assert (Path(folder.archive()) / "history.jsonl").read_bytes() == before.content


class TestInAStore:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"file://{tmp_path}/store"

    def test_a_run_that_was_overtaken_does_not_begin(self, url: str, tmp_path: Path) -> None:
        ours = Folder.create(sealed(url, tmp_path / "one"), "prod", {})
        theirs = Folder.open(sealed(url, tmp_path / "another"), "prod")
        assert theirs
        theirs.history.begin(RUN, "")
        with pytest.raises(BusyError, match=r"number 2 .* Nothing was changed by this run"):
            ours.history.begin(RUN, "")

    def test_a_run_ends_beside_one_that_nothing_has_kept_apart(self, url: str, tmp_path: Path) -> None:
        ours = Folder.create(sealed(url, tmp_path / "one"), "prod", {})
        first = ours.history.begin(RUN, "")
        theirs = Folder.open(sealed(url, tmp_path / "another"), "prod")
        assert theirs
        second = theirs.history.begin(RUN, "")
        ours.history.end(first, 0, {})
        theirs.history.end(second, 3, {})
        chain = ours.history.read()
        assert chain.fault == ""
        seen = Folder.open(sealed(url, tmp_path / "one"), "prod")
        assert seen
        assert [run.exit_code for run in seen.history.read().runs.values()] == [0, 3]

    def test_a_run_that_is_overtaken_again_and_again_says_so(self, url: str, tmp_path: Path) -> None:
        ours = Folder.create(sealed(url, tmp_path / "one"), "prod", {})
        begun = ours.history.begin(RUN, "")
        theirs = Folder.open(sealed(url, tmp_path / "another"), "prod")
        assert theirs

        @dataclass(frozen=True)
        class Overtaken:
            def __getattr__(self, name: str) -> object:
                return getattr(ours.files, name)

            def change(self, changes: dict[str, bytes | None], *, begins: bool) -> None:
                theirs.history.end(begun, 3, {})
                ours.files.change(changes, begins=begins)

        with pytest.raises(BusyError, match="was changed meanwhile"):
            History(Overtaken()).end(begun, 0, {})  # type: ignore[arg-type]
