"""What is done again and again: reports, and reconciling."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from temporalio.client import Client

from kube_provision_temporal import schedules
from kube_provision_temporal.cli import main
from kube_provision_temporal.showing import Look

LIMIT = 900.0
EVERY = ("--task-queue", "site", "--every", "24")


def begun(site: Any, name: str, before: int = 0) -> Look:
    """How it ended, begun now and not when its time comes; so many were before it."""

    async def triggered(client: Client) -> None:
        await client.get_schedule_handle(name).trigger()

    async def count(client: Client) -> int:
        return len((await client.get_schedule_handle(name).describe()).info.recent_actions)

    site.server.ask(triggered)
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if site.server.ask(count) > before:
            found: Look = site.server.ask(lambda client: schedules.look(client, name))
            if found.ended != "under way":
                return found
        time.sleep(0.2)
    pytest.fail(f"{name} has not ended")


@pytest.mark.integration
def test_reconciling_does_what_is_allowed_and_tells_the_rest_and_drift_is_told(
    site: Any, command: Callable[..., Any]
) -> None:
    site.cluster("steady")
    assert command("schedule", "steady", "drift", *EVERY).code == 0
    assert "m-steady-1: is missing" in begun(site, "schedule/steady/drift").told

    reconcile = ("schedule", "steady", "reconcile", *EVERY, "--allow", "change")
    assert "scheduled" in command(*reconcile, "--", "--no-wait").err
    told = begun(site, "schedule/steady/reconcile")
    assert told.ended == "needs a look"
    assert "provision: not allowed: + create m-steady-1" in told.told
    assert site.machines("steady") == []

    assert "changed" in command(*reconcile, "--allow", "make", "--", "--no-wait").err
    told = begun(site, "schedule/steady/reconcile", before=1)
    assert site.machines("steady") == ["m-steady-1", "w-steady-1"], told
    assert (told.ended, told.told[0].startswith("changes: ")) == ("done", True), told


@pytest.mark.integration
def test_reconciling_leaves_a_cluster_alone_on_which_something_is_at_work(site: Any, command: Callable[..., Any]) -> None:
    site.cluster("taken")
    assert command("start", "taken", "provision", "--task-queue", "site").code == 0
    assert command("schedule", "taken", "reconcile", *EVERY, "--allow", "make").code == 0
    told = begun(site, "schedule/taken/reconcile")
    assert told.told[0] == "something else is under way: the rest is left to the next time"
    assert site.machines("taken") == []
    assert command("cancel", "taken").code == 0


@pytest.mark.integration
def test_a_schedule_is_paused_goes_on_and_ends(site: Any, command: Callable[..., Any]) -> None:
    name = "schedule/calm/certificates"
    said = ("schedule", "calm", "certificates", "--task-queue", "site", "--cron", "0 3 * * *")
    assert command(*said).code == 0
    shown = command("status", name).out
    assert shown.startswith(f"{name}: not begun so far\n  next: 20")
    assert command("pause", name).err == f"{name}: begins nothing more until `resume`\n"
    assert "paused: nothing is begun" in command("status", name).out
    assert command(*said).err.startswith(f"{name}: changed")
    assert "paused: nothing is begun" in command("status", name).out
    assert command("resume", name).code == 0
    assert "next: 20" in command("status", name).out
    assert command("cancel", name).code == 0
    for words in (("status", name), ("pause", name)):
        gone = command(*words)
        assert (gone.code, "nothing of this name" in gone.err) == (2, True)


@pytest.mark.integration
def test_a_backup_needs_a_worker_that_makes_some(site: Any, command: Callable[..., Any]) -> None:
    site.cluster("none")
    assert command("schedule", "none", "backup", *EVERY).code == 0
    ended = begun(site, "schedule/none/backup")
    assert (ended.ended, ended.told[0].startswith("BadInput: this worker makes no backups")) == ("failed", True), ended


@pytest.mark.integration
def test_certificates_that_nobody_can_tell_of_want_a_look(site: Any, command: Callable[..., Any]) -> None:
    site.begin(site.work("certified"))
    assert site.ended("certified").ended == "done"
    assert command("schedule", "certified", "certificates", *EVERY).code == 0
    told = begun(site, "schedule/certified/certificates")
    assert told.ended == "needs a look"
    line, following = told.told
    assert line.startswith("m-certified-1: no handshake with ")  # no API server runs on it
    assert following.startswith("next: 20")


@pytest.mark.integration
def test_a_time_that_is_none_is_refused(command: Callable[..., Any]) -> None:
    ran = command("schedule", "prod", "drift", "--task-queue", "site", "--cron", "now and then")
    assert (ran.code, "Temporal refuses it" in ran.err) == (2, True), ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("drift", "--task-queue", "site"),
        ("drift", "--task-queue", "site", "--every", "1", "--cron", "0 3 * * *"),
        ("drift", "--every", "1"),
        ("drift", "--task-queue", "site", "--every", "0"),
        ("reconcile", "--task-queue", "site", "--every", "1", "--allow", "anything"),
        ("reconcile", "--task-queue", "site", "--every", "1", "--", "--state", "s3://mine"),
        ("reconcile", "--task-queue", "site", "--every", "1", "--config", "../x.yml"),
        ("drift", "--task-queue", "site", "--every", "1", "--", "--no-wait"),
        ("backup", "--task-queue", "site", "--every", "1", "--allow", "make"),
    ],
)
def test_a_schedule_that_is_none_is_refused(words: tuple[str, ...]) -> None:
    assert main(["schedule", "prod", *words]) == 2


def test_a_place_for_backups_needs_who_can_open_them() -> None:
    assert main(["worker", "--task-queue", "site", "--backups", "s3://team/kube"]) == 2
