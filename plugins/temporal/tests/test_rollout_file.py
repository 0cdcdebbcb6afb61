"""A roll-out as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kube_provision_core import ConfigError
from kube_provision_temporal.cli import main
from kube_provision_temporal.policy import Member, Rollout, Window
from kube_provision_temporal.rollout_file import read
from kube_provision_temporal.values import Approval, Work

LEAST = "name: all\nverb: upgrade\napproval: never\nclusters: [lab/alpha, eu/lab/beta]\n"


def test_it_says_what_is_done_to_which_clusters_and_how(tmp_path: Path) -> None:
    file = tmp_path / "all.yml"
    file.write_text(
        LEAST + "options: --k8s-version 1.37.2 --pool 'gpu'\nconfig: [site.yml, '{cluster}.yml']\nattempts: 3\ncanary: 2\n"
        "wave: 10\nfailures: 4\npause: 60\nbusy_timeout: 600\n"
        "windows: [{start: 22:00+01:00, end: 04:30+01:00, days: [mon]}]\n"
    )
    work = Work("", "upgrade", ["--k8s-version", "1.37.2", "--pool", "gpu"], ["site.yml", "{cluster}.yml"], Approval.NEVER)
    members = [Member("alpha", "lab"), Member("beta", "eu/lab")]
    windows = [Window("22:00+01:00", "04:30+01:00", ["mon"])]
    assert read(file) == Rollout("all", members, Work(**vars(work) | {"attempts": 3}), 2, 10, 4, 60, windows, 600)


def test_what_is_not_said_is_careful(tmp_path: Path) -> None:
    file = tmp_path / "all.yml"
    file.write_text(LEAST)
    rollout = read(file)
    assert (rollout.canary, rollout.wave, rollout.failures, rollout.windows) == (1, 5, 0, [])


@pytest.mark.parametrize(
    ("document", "lines"),
    [
        (LEAST + "wave: a\n", ["wave: Input should be a valid integer"]),
        (LEAST + "waves: 3\n", ["waves: there is no such key; there are name, "]),
        ("name: all\nclusters: [lab/a]\n", ["verb: is missing", "approval: is missing"]),
        (LEAST + "options: 5\n", ["options: a text is meant; quotes make one of a number or a time"]),
        (LEAST + 'options: "--pool \'gpu"\n', ["options: No closing quotation"]),
        (LEAST + "windows: [{start: 22:00, end: 04:30Z}]\n", ["windows: 1: start: a text is meant; quotes make one"]),
        (LEAST + "windows: [{start: 22:00Z}]\n", ["windows: 1: end: is missing"]),
        (
            LEAST + "windows: [{start: 22:00Z, end: 04:30Z, day: mon}]\n",
            ["windows: 1: day: there is no such key; there are start, end, days"],
        ),
        (LEAST.replace("lab/alpha", "alpha"), ["clusters: SITE/CLUSTER is meant: '' is no task queue"]),
        (LEAST.replace("upgrade", "status"), ["'status' is none of the verbs that have a plan"]),
        (LEAST + "options: -e a=geheim\nwave: 0\n", ["wave: 1 to 100", "a word cannot be given", "these can be given"]),
        ("name: [", ["cannot be read: "]),
        ("", ["a document with keys and values is meant"]),
        ("[" * 100_000, ["cannot be read: "]),
    ],
)
def test_one_that_describes_none_is_refused_with_all_that_is_wrong(tmp_path: Path, document: str, lines: list[str]) -> None:
    file = tmp_path / "all.yml"
    file.write_text(document)
    with pytest.raises(ConfigError) as refused:
        read(file)
    told = str(refused.value).splitlines()
    assert [line.startswith(f"{file}: {begin}") for line, begin in zip(told, lines, strict=True)] == [True] * len(lines), (
        told
    )
    assert "geheim" not in str(refused.value)


def test_the_command_line_refuses_it_before_any_server_is_asked(tmp_path: Path, capfd: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    (tmp_path / "all.yml").write_text(LEAST + "wave: 0\n")
    assert main(["rollout", str(tmp_path / "all.yml")]) == 2
    assert capfd.readouterr().err == f"kube-provision-temporal: {tmp_path / 'all.yml'}: wave: 1 to 100 clusters are meant\n"
