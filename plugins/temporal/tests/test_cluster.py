"""Runs of single clusters, on a real server, with real workers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kube_provision_temporal.showing import Look
from kube_provision_temporal.values import Approval, Phase

pytestmark = pytest.mark.integration


def applies(look: Look) -> bool:
    """Its machines are made, and it waits for their addresses."""
    return bool(look.progress and any(it.startswith("await") for it in look.progress.running))


def asks(look: Look) -> bool:
    return bool(look.state and look.state.asks)


def test_a_plan_waits_for_approval_and_two_starts_are_one_run(site: Any, command: Callable[..., Any]) -> None:
    site.cluster("asked")
    begin = ("start", "asked", "provision", "--task-queue", "site", "--", "--no-wait")
    assert command(*begin).err == "asked: begun. More: kube-provision-temporal status asked\n"
    assert "is under way already" in command(*begin).err
    other = command("start", "asked", "destroy", "--task-queue", "site")
    assert (other.code, "something else is under way, provision --no-wait" in other.err) == (2, True)

    digest = site.until("asked", asks).state.digest
    shown = command("status", "asked")
    assert "+ create m-asked-1  it may initialise the cluster" in shown.out
    assert f"approve it: kube-provision-temporal approve asked {digest[:12]}" in shown.out
    assert site.machines("asked") == []
    wrong = command("approve", "asked", "0123456789")
    assert (wrong.code, "another plan waits for approval" in wrong.err) == (2, True)
    assert command("approve", "asked", digest[:12]).code == 0

    assert site.ended("asked").ended == "done"
    assert site.machines("asked") == ["m-asked-1", "w-asked-1"]
    assert json.loads(command("status", "asked", "-o", "json").out)["ended"] == "done"
    again = command("approve", "asked", digest[:12])
    assert (again.code, again.err) == (2, "kube-provision-temporal: asked: nothing of this name is under way\n")


def test_a_plan_that_removes_nothing_need_not_wait_and_one_that_does_waits_no_longer_than_it_may(site: Any) -> None:
    site.begin(site.work("kept", approval=Approval.REMOVALS))
    assert site.ended("kept").ended == "done"
    site.begin(site.work("kept", "destroy", approval=Approval.REMOVALS, approval_timeout=1))
    assert site.ended("kept").told == ["NotApproved: nobody has approved the plan within 0:00:01"]
    assert site.machines("kept") == ["m-kept-1", "w-kept-1"]


def test_another_worker_finishes_what_a_killed_one_has_begun(site: Any) -> None:
    lost = site.worker("killed")
    site.begin(site.work("slow", silence=6.0), "killed")
    site.until("slow", applies)
    (program,) = programs_of(lost.pid)
    lost.kill()
    site.worker("killed")
    assert site.ended("slow").ended == "done"
    assert "ACTIVITY_TASK_TIMED_OUT" in site.server.events("slow")
    assert site.machines("slow") == ["m-slow-1", "w-slow-1"]
    assert not lives(program), "the run of the killed worker goes on"


def test_a_worker_that_is_stopped_leaves_its_runs_to_another(site: Any) -> None:
    first = site.worker("stopped")
    site.begin(site.work("slow-stop"), "stopped")
    site.until("slow-stop", applies)
    first.stop(grace=60)
    site.worker("stopped")
    assert site.ended("slow-stop").ended == "done"
    assert "ACTIVITY_TASK_TIMED_OUT" not in site.server.events("slow-stop")


def test_a_server_that_is_started_again_goes_on(site: Any) -> None:
    site.begin(site.work("slow-server"))
    site.until("slow-server", applies)
    site.server.stop()
    site.server.start()
    assert site.ended("slow-server").ended == "done"
    assert site.machines("slow-server") == ["m-slow-server-1", "w-slow-server-1"]


def test_a_pause_and_the_end_of_a_run_stop_it_as_by_ctrl_c(site: Any, command: Callable[..., Any]) -> None:
    site.begin(site.work("slow-pause"))
    site.until("slow-pause", applies)
    assert command("pause", "slow-pause").code == 0
    site.until("slow-pause", lambda look: bool(look.state and look.state.phase is Phase.PAUSED))
    assert programs_of(site.workers[0].pid) == []
    assert site.server.events("slow-pause").count("ACTIVITY_TASK_CANCELED") == 1
    assert site.machines("slow-pause") == ["m-slow-pause-1", "w-slow-pause-1"]

    assert command("resume", "slow-pause").code == 0
    site.until("slow-pause", lambda look: bool(look.state and look.state.phase is Phase.APPLYING))
    assert command("cancel", "slow-pause").code == 0
    assert site.ended("slow-pause").ended == "cancelled"
    assert programs_of(site.workers[0].pid) == []
    events = site.server.events("slow-pause")  # what was left may have been done by the time that it is stopped
    assert events.count("ACTIVITY_TASK_CANCELED") + events.count("ACTIVITY_TASK_COMPLETED") == events.count(
        "ACTIVITY_TASK_SCHEDULED"
    )


def test_bad_input_is_not_tried_again(site: Any) -> None:
    work = site.work("wrong")
    site.cluster("wrong", mastres=3)
    site.begin(work)
    ended = site.ended("wrong")
    assert ended.ended == "failed"
    assert ended.told[0].startswith("BadInput: ")
    assert "mastres" in ended.told[0]
    assert site.server.events("wrong").count("ACTIVITY_TASK_SCHEDULED") == 1


def test_what_may_pass_is_tried_again(site: Any) -> None:
    site.vcenter.fail("CloneVM_Task", "w-twice-1", times=1)
    site.begin(site.work("twice"))
    assert site.ended("twice").told[0] == "changes: 3, attempts: 2"


def test_a_plan_that_reality_has_overtaken_is_made_anew_and_asks_again(site: Any, command: Callable[..., Any]) -> None:
    site.begin(site.work("moved", approval=Approval.ALWAYS))
    first = site.until("moved", asks).state.digest
    site.cluster("moved", workers=2)
    command("approve", "moved", first)
    second = site.until("moved", lambda look: asks(look) and look.state.digest != first)
    assert second.state.trouble[0] == "this plan is refused by now, and nothing was touched"
    assert site.machines("moved") == []
    command("cancel", "moved")
    assert site.ended("moved").ended == "cancelled"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("-e", "vcenter_password=geheim"), "a word cannot be given to a run"),
        (("--extra", "vcenter_hostname=mine"), "--extra cannot be given to a run"),
        (("--state", "s3://mine"), "--state cannot be given to a run"),
        (("--node",), "--node takes a value"),
        (("--force=yes",), "--force takes no value"),
    ],
)
def test_what_could_hold_a_secret_or_lead_it_elsewhere_is_refused(
    site: Any, command: Callable[..., Any], words: Any, line: str
) -> None:
    ran = command("start", "asked", "provision", "--task-queue", "site", "--", *words)
    assert (ran.code, line in ran.err, "geheim" in ran.err) == (2, True, False)


@pytest.mark.parametrize("path", ["/etc/shadow", "../prod.yml", ""])
def test_a_worker_reads_configurations_of_its_folder_alone(site: Any, path: str) -> None:
    """Whoever writes workflows by other means than our client is refused by the worker."""
    site.begin(site.work("outside", config=[path]))
    assert site.ended("outside").told[0].startswith("BadInput: ")


def test_a_server_that_is_not_there_is_told_in_a_line(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    ran = command("status", "prod")
    assert ran.code == 3
    assert ran.err.startswith("kube-provision-temporal: Temporal at 127.0.0.1:1 does not answer")


def test_no_secret_is_in_what_the_server_keeps(site: Any) -> None:
    """After all runs above: payloads, events, failures and heartbeats, as they lie in its database and as it tells them."""
    site.begin(site.work("secret"))
    assert site.ended("secret").ended == "done"
    kept = site.server.kept()
    kept += b"".join(event.SerializeToString() for event in site.server.history("secret").events)
    assert b"m-secret-1" in kept
    assert [secret for secret in site.secrets() if secret in kept] == []


def programs_of(worker: int) -> list[int]:
    """Processes of the program that a worker has started."""
    return [int(pid) for pid in Path(f"/proc/{worker}/task/{worker}/children").read_text().split()]


def lives(pid: int) -> bool:
    """Still, after half a minute."""
    process, deadline = Path(f"/proc/{pid}"), time.monotonic() + 30
    while process.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return process.exists()
