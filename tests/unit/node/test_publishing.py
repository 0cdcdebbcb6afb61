"""What is published fits through a narrow channel, and is read on the other side as it was meant."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from kube_provision_core import NodeStatus, Stage
from kube_provision_node import publishing
from kube_provision_node.evidence import Diagnosis
from kube_provision_node.publishing import LARGEST, Publisher, Status

DIAGNOSIS = Diagnosis("swap", "swap is on", "take it out", replace=True)


def quiet(text: str) -> str:
    return text


@pytest.mark.parametrize(
    "line", ["x" * 5000, "ü€😀" * 400, '"\\\t' * 900, "\x00\x1b[2J" * 300], ids=["long", "foreign", "quoted", "control"]
)
def test_a_document_stays_small_whatever_a_step_says(line: str) -> None:
    diagnosis = Diagnosis("swap", line, line)
    document = Status("join", "failed", line, "x/y", 5, 5, line, diagnosis, (line,) * 60).document(quiet)
    assert len(document.encode()) < 4096
    assert json.loads(document)["stage"] == "join"


def test_the_last_lines_are_kept() -> None:
    lines = tuple(f"line {number}" for number in range(100))
    log = json.loads(Status("join", "failed", log=lines).document(quiet))["log"]
    assert log == list(lines[-15:])


def test_lines_give_way_from_the_first() -> None:
    lines = tuple(f"{number:03} {'x' * 400}" for number in range(60))
    document = Status("join", "failed", "e" * 900, diagnosis=DIAGNOSIS, log=lines).document(
        lambda text: text.replace("x", "\x01")
    )
    log = json.loads(document)["log"]
    assert len(document) <= LARGEST
    assert log[-1].startswith("059")


def test_what_says_nothing_is_left_out() -> None:
    assert json.loads(Status("finish", "done").document(quiet)) == {"stage": "finish", "state": "done", "error": ""}


def test_every_text_is_redacted() -> None:
    diagnosis = Diagnosis("image-unavailable", "hush: cause", "advice")
    status = Status("join", "failed", "hush: error", doing="hush: doing", diagnosis=diagnosis, log=("hush: line",))
    assert "hush" not in status.document(lambda text: text.replace("hush", "-"))


def test_the_other_side_reads_all_of_it() -> None:
    status = Status("join", "running", "an error", "kubeadm/membership", 2, 5, "joins", DIAGNOSIS, ("one", "two"))
    assert NodeStatus.parse(status.document(quiet)) == NodeStatus(
        Stage.JOIN,
        "running",
        "an error",
        step="kubeadm/membership",
        attempt=2,
        attempts=5,
        diagnosis="swap",
        cause="swap is on",
        advice="take it out",
        replace=True,
        log=("one", "two"),
        doing="joins",
    )


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo no such port >&2; exit 1", "exit code 1: no such port"), ("exec sleep 60", "not done after 0 s")],
    ids=["fails", "hangs"],
)
def test_why_nothing_could_be_published_is_told(
    script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(publishing, "_LIMIT", 0.3 if "sleep" in script else 15.0)
    program = tmp_path / "publish"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with caplog.at_level(logging.WARNING):
        Publisher(program, quiet, tmp_path).publish(Status("join", "running"))
    assert caplog.messages == [f"the stage could not be published: {reason}"]
