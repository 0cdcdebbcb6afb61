"""Ordinary trouble on the way to a server, and with workers, is told in a line."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from kube_provision_temporal import cli
from kube_provision_temporal import client as asking
from kube_provision_temporal.values import Work
from kube_provision_temporal.worker import serve

pytestmark = pytest.mark.integration
Said = Callable[..., tuple[int, list[str]]]


@workflow.defn(name="ClusterWorkflow")
class Stranger:
    """Of the same name, and knows nothing of what is asked."""

    @workflow.run
    async def run(self, work: Work) -> None:
        await workflow.wait_condition(lambda: False)


def wait(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """For an answer; a busy machine may take long for one that comes."""
    for module in (cli, asking):
        monkeypatch.setattr(module, "PATIENCE", timedelta(seconds=seconds))


@pytest.fixture
def said(server: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Said:
    """The exit code of a command line, and what it says."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
    wait(monkeypatch, 120)

    def run(*words: str) -> tuple[int, list[str]]:
        code = cli.main(words)
        return code, capfd.readouterr().err.splitlines()

    return run


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("TEMPORAL_ADDRESS", "no address", "TEMPORAL_ADDRESS is HOST:PORT"),
        ("TEMPORAL_ADDRESS", "127.0.0.1:seven", "TEMPORAL_ADDRESS is HOST:PORT"),
        ("TEMPORAL_TLS_CLIENT_CERT_PATH", "/nowhere/client.pem", "/nowhere/client.pem"),
        ("TEMPORAL_NAMESPACE", "nowhere", "TEMPORAL_NAMESPACE says which"),
    ],
)
def test_settings_that_lead_nowhere(said: Said, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str) -> None:
    monkeypatch.setenv(name, value)
    code, (line,) = said("status", "prod")
    assert (code, told in line) == (2, True), line


def test_a_worker_whose_namespace_is_not_there_does_not_say_that_it_asks_for_work(
    said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "nowhere")
    code, (line,) = said("worker", "--task-queue", "lab", "--configurations", str(tmp_path))
    assert (code, "TEMPORAL_NAMESPACE says which" in line) == (2, True), line


@pytest.mark.parametrize("name", ["", "q" * 2000, "/_sys/lab", "a b"])
def test_a_task_queue_that_is_none(said: Said, name: str) -> None:
    for words in (("worker",), ("start", "prod", "provision"), ("schedule", "prod", "drift", "--every", "1")):
        code, (line,) = said(*words, "--task-queue", name)
        assert (code, "is no task queue of a site" in line) == (2, True), line


def test_a_worker_that_the_server_keeps_from_work_ends(server: Any, tmp_path: Path) -> None:
    def ready() -> None:
        """It is not, but it does not know that so far."""

    with pytest.raises(asking.UnreachableError, match="worker: /_sys/lab"):
        server.ask(lambda client: asyncio.wait_for(serve(client, "/_sys/lab", tmp_path, 1, ready), 120))


def test_the_programs_own_end_is_what_its_exit_code_says(server: Any) -> None:
    """Also where threads of a library are still at something, as they are more often than not."""
    env = {**os.environ, "TEMPORAL_ADDRESS": server.address}
    command = [Path(sys.executable).parent / "kube-provision-temporal", "status", "nobody"]
    for _ in range(6):
        ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
        told = "kube-provision-temporal: nobody: nothing of this name is under way\n"
        assert (ended.returncode, ended.stderr) == (2, told)


def test_a_start_that_the_server_refuses(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "nowhere")
    code, (line,) = said("start", "prod", "provision", "--task-queue", "lab")
    assert (code, "TEMPORAL_NAMESPACE says which" in line) == (2, True), line


def test_a_word_that_no_worker_hears(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said("start", "alone", "provision", "--task-queue", "nobody")[0] == 0
    wait(monkeypatch, 3)
    for words in (("approve", "alone", "0123456789"), ("status", "alone")):
        code, (line,) = said(*words)
        assert (code, "Is there a worker on its task queue?" in line) == (3, True), line
    wait(monkeypatch, 120)
    assert said("cancel", "alone")[0] == 0


def test_a_worker_that_does_not_answer_the_question(server: Any, said: Said) -> None:
    async def asked(client: Client) -> tuple[int, list[str]]:
        runner = UnsandboxedWorkflowRunner()
        async with Worker(client, task_queue="strange", workflows=[Stranger], workflow_runner=runner):
            await asking.start(client, Work("strange", "provision"), "strange")
            answer = await asyncio.to_thread(said, "status", "strange")
            await client.get_workflow_handle("strange").terminate()
            return answer

    code, (line,) = server.ask(asked)
    assert (code, "its worker cannot say what it is at" in line) == (3, True), line
