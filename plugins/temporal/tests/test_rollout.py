"""Roll-outs over many clusters on a real server: with activities that say what they are told to, and over real clusters."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowExecution, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, Worker

from kube_provision_temporal import client as asking
from kube_provision_temporal.cluster import ClusterWorkflow
from kube_provision_temporal.policy import Member, Rollout, RolloutPhase, RolloutState, Window
from kube_provision_temporal.showing import Look
from kube_provision_temporal.values import Action, Agreed, Approval, Done, Failure, Plan, Work
from kube_provision_temporal.worker import WORKFLOWS

pytestmark = pytest.mark.integration
LIMIT = 900.0
"""Seconds for what takes a few on a quiet machine."""

Handle = WorkflowHandle[Any, Any]
Step = Callable[[Client, Handle], Awaitable[object]]
DIGEST = "d" * 64


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE", timedelta(seconds=120))


class Script:
    """Clusters of which some fail, and some are at work until they are stopped."""

    def __init__(self, broken: Iterable[str] = (), endless: Iterable[str] = ()) -> None:
        self.broken, self.endless = set(broken), set(endless)
        self.begun: list[str] = []
        self.at_work: set[str] = set()
        self.most_at_once = 0

    @activity.defn(name="plan")
    async def plan(self, work: Work) -> Plan:
        return Plan(DIGEST, [Action("+", "create", f"m-{work.cluster}-1")])

    @activity.defn(name="apply")
    async def apply(self, agreed: Agreed) -> Done:
        name = agreed.work.cluster
        assert name not in self.at_work, "twice at once"
        self.begun.append(name)
        self.at_work.add(name)
        self.most_at_once = max(self.most_at_once, len(self.at_work))
        try:
            while name in self.endless:
                activity.heartbeat()
                await asyncio.sleep(0.2)
        finally:
            self.at_work.remove(name)
        if name in self.broken:
            raise ApplicationError(f"{name}: no space left\nmore", type=Failure.BAD_INPUT.value, non_retryable=True)
        return Done(name)


def clusters(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number:03}" for number in range(1, count + 1)]


def rollout(name: str, count: int = 2, approval: Approval = Approval.NEVER, **policy: Any) -> Rollout:
    return Rollout(
        name, [Member(it, name) for it in clusters(name, count)], Work("", "provision", approval=approval), **policy
    )


def play(server: Any, wanted: Rollout, script: Script, *steps: Step, before: Sequence[Step] = ()) -> Look:
    """How it ends, where these steps are taken meanwhile, and before it is begun."""

    async def played(client: Client) -> Look:
        name = f"rollout/{wanted.name}"
        worker = Worker(
            client,
            task_queue=wanted.name,
            workflows=WORKFLOWS,
            activities=[script.plan, script.apply],
            max_heartbeat_throttle_interval=timedelta(seconds=0.5),
        )
        async with worker:
            handle = client.get_workflow_handle(name)
            for step in (*before, begin(wanted), *steps):
                await step(client, handle)
            with suppress(WorkflowFailureError):
                await handle.result()
            return await asking.look(client, name)

    look: Look = server.ask(lambda client: asyncio.wait_for(played(client), LIMIT))
    return look


def state_of(look: Look) -> RolloutState:
    assert look.rollout
    return look.rollout


def begin(wanted: Rollout) -> Step:
    async def begun(client: Client, _: Handle) -> None:
        assert await asking.begin_rollout(client, wanted)

    return begun


def until(condition: Callable[[RolloutState], bool]) -> Step:
    async def waiting(_: Client, handle: Handle) -> None:
        while True:
            with suppress(asking.UnreachableError):  # it is busy
                if condition(await asking.rollout_of(handle)):
                    return
            await asyncio.sleep(0.1)

    return waiting


def told(word: str) -> Step:
    return lambda client, handle: asking.tell(client, handle.id, word)


def asks(name: str) -> Step:
    async def waiting(client: Client, handle: Handle) -> None:
        while name not in (await asking.look(client, handle.id)).asks:
            await asyncio.sleep(0.1)

    return waiting


def approved(name: str) -> Step:
    return lambda client, _: client.get_workflow_handle(name).execute_update(ClusterWorkflow.approve, DIGEST)


def ended(name: str) -> Step:
    async def waiting(client: Client, _: Handle) -> None:
        with suppress(WorkflowFailureError):
            await client.get_workflow_handle(name).result()

    return waiting


def test_where_the_canary_fails_nothing_else_is_begun(server: Any) -> None:
    script = Script(["canary-001"])
    look = play(server, rollout("canary", 4, failures=3), script)
    assert (look.ended, look.told) == ("failed", ["TooManyFailures: 1 have failed, 3 were not begun"])
    assert state_of(look).failed == {"canary-001": "canary-001: no space left"}
    assert (state_of(look).left, script.begun) == (clusters("canary", 4)[1:], ["canary-001"])


def test_it_goes_on_in_waves_while_as_many_fail_as_may_and_however_long_its_history(server: Any) -> None:
    names = clusters("waves", 30)
    script = Script([names[2], names[12]])
    look = play(server, rollout("waves", 30, wave=7, failures=2), script)
    assert (look.ended, state_of(look).phase) == ("done", RolloutPhase.ENDED)
    assert list(state_of(look).failed) == [names[2], names[12]]
    assert state_of(look).done == sorted({*names} - script.broken)
    assert Counter(script.begun) == Counter(names)
    waves = [names[:1], *(names[at : at + 7] for at in range(1, 30, 7))]
    begun = iter(script.begun)
    assert [sorted(itertools.islice(begun, len(wave))) for wave in waves] == waves
    assert script.most_at_once <= 7
    runs = [it.run_id for it in executions(server, "RolloutWorkflow", "rollout/waves")]
    assert len(runs) > 1, "its history grew, and it was to begin another one"


def test_it_waits_between_two_waves(server: Any) -> None:
    script = Script()
    between = until(
        lambda state: state.phase is RolloutPhase.BETWEEN and bool(state.until) and state.left == ["between-002"]
    )
    steps = (between, told("pause"), until(lambda state: state.phase is RolloutPhase.PAUSED), told("cancel"))
    look = play(server, rollout("between", pause=3600), script, *steps)
    assert (look.ended, script.begun) == ("cancelled", ["between-001"])


def test_paused_it_begins_nothing_more_and_what_is_at_work_goes_on(server: Any) -> None:
    """Each waits for approval, so that it is known what is at work."""
    script = Script()
    first, second = clusters("paused", 2)
    stands = until(lambda state: state.phase is RolloutPhase.PAUSED and state.done == [first] and not state.running)
    steps = (asks(first), told("pause"), approved(first), stands)
    look = play(
        server, rollout("paused", approval=Approval.ALWAYS), script, *steps, told("resume"), asks(second), approved(second)
    )
    assert (look.ended, script.begun) == ("done", [first, second])
    assert server.events("rollout/paused").count("START_CHILD_WORKFLOW_EXECUTION_INITIATED") == 2


def somebody_begins(name: str) -> Step:
    """Something else, which waits for approval."""
    return lambda client, _: asking.start(client, Work(name, "destroy", approval=Approval.ALWAYS), name.rpartition("-")[0])


def test_one_on_which_something_else_is_at_work_is_waited_for_also_while_paused(server: Any) -> None:
    script = Script()
    (mine,) = clusters("shared", 1)
    busy = until(lambda state: state.busy == [mine])

    async def wait(_: Client, __: Handle) -> None:
        await asyncio.sleep(5)  # longer than until its first look
        assert script.begun == [mine], "it was begun while the roll-out was paused"

    steps = (busy, told("pause"), approved(mine), ended(mine), wait, told("resume"))
    look = play(server, rollout("shared", 1), script, *steps, before=[somebody_begins(mine)])
    assert (look.ended, script.begun) == ("done", [mine, mine])


def test_one_on_which_something_else_is_at_work_for_too_long_counts_as_failed(server: Any) -> None:
    script = Script()
    first, second = clusters("kept", 2)
    wanted = rollout("kept", busy_timeout=1, canary=0, failures=1)
    look = play(
        server, wanted, script, ended("rollout/kept"), approved(first), ended(first), before=[somebody_begins(first)]
    )
    assert state_of(look).failed == {first: "something else was under way for 0:00:01"}
    assert (look.ended, state_of(look).done, script.begun) == ("done", [second], [second, first])


def test_it_begins_nothing_before_its_window_opens(server: Any) -> None:
    script = Script()
    opens = (datetime.now(UTC) + timedelta(seconds=6)).replace(microsecond=0)
    window = Window(f"{opens:%H:%M:%S}Z", f"{opens + timedelta(hours=2):%H:%M:%S}Z")
    assert play(server, rollout("opening", 1, windows=[window]), script).ended == "done"
    (run,) = executions(server, "ClusterWorkflow", "opening-001")
    assert run.start_time >= opens


def test_while_its_windows_are_closed_it_says_until_when(server: Any) -> None:
    script = Script()
    opens = (datetime.now(UTC) + timedelta(hours=12)).replace(microsecond=0)
    window = Window(f"{opens:%H:%M:%S}Z", f"{opens + timedelta(hours=2):%H:%M:%S}Z")
    until_then = f"{opens:%Y-%m-%dT%H:%M:%SZ}"
    closed = until(lambda state: (state.phase, state.until) == (RolloutPhase.CLOSED, until_then))
    look = play(server, rollout("closed", windows=[window]), script, closed, told("cancel"))
    assert (look.ended, script.begun) == ("cancelled", [])


def test_one_that_is_cancelled_stops_its_clusters_and_begins_no_more(server: Any) -> None:
    names = clusters("cancelled", 4)
    script = Script(endless=names)
    all_of = until(lambda state: script.at_work == set(names[:3]))
    look = play(server, rollout("cancelled", 4, canary=0, wave=3), script, all_of, told("cancel"))
    assert (look.ended, script.at_work, sorted(script.begun)) == ("cancelled", set(), names[:3])
    assert [server.ask(lambda client, it=it: asking.look(client, it)).ended for it in names[:3]] == ["cancelled"] * 3


def test_a_cluster_that_somebody_cancels_counts_as_failed(server: Any) -> None:
    script = Script(endless=["single-002"])
    at_work = until(lambda state: script.at_work == {"single-002"})
    steps = (at_work, lambda client, _: asking.tell(client, "single-002", "cancel"))
    look = play(server, rollout("single", 3, failures=1), script, *steps)
    assert state_of(look).failed == {"single-002": "cancelled"}
    assert (look.ended, state_of(look).done) == ("done", ["single-001", "single-003"])


def test_two_begins_are_one_and_another_one_of_this_name_is_refused(server: Any, tmp_path: Any, command: Any) -> None:
    file = tmp_path / "twice.yml"
    file.write_text("name: twice\nverb: renew\napproval: never\nclusters: [twice/twice-001]\n")

    async def again(_: Client, __: Handle) -> None:
        same = await asyncio.to_thread(command, "rollout", str(file))
        assert "rollout/twice: is under way already" in same.err
        file.write_text(file.read_text() + "attempts: 1\n")
        other = await asyncio.to_thread(command, "rollout", str(file))
        assert (other.code, "another roll-out of this name is under way" in other.err) == (2, True)
        refused = await asyncio.to_thread(command, "approve", "rollout/twice", DIGEST)
        assert (refused.code, "only clusters have plans" in refused.err) == (2, True)

    wanted = replace(rollout("twice", 1), work=Work("", "renew", approval=Approval.NEVER))
    script = Script(endless=["twice-001"])
    at_work = until(lambda state: state.running == ["twice-001"])
    assert play(server, wanted, script, at_work, again, told("cancel")).ended == "cancelled"


def test_one_that_is_none_ends_at_once(server: Any) -> None:
    """Whoever writes workflows by other means than our client could have it begin whatever they like."""
    script = Script()
    look = play(server, rollout("wrong", wave=0, windows=[Window("22:00", "x")]), script)
    assert look.told[0] == "BadInput: wave: 1 to 100 clusters are meant"
    assert script.begun == []


def executions(server: Any, kind: str, name: str) -> list[WorkflowExecution]:
    """Those whose names begin so, once all of them have ended, as the server tells it, which is a little later.

    Others of this server may wait for ever, as tests leave them.
    """

    async def asked(client: Client) -> list[WorkflowExecution]:
        return [it async for it in client.list_workflows(f"WorkflowType = '{kind}'") if it.id.startswith(name)]

    deadline = time.monotonic() + LIMIT
    while any(it.close_time is None for it in server.ask(asked)):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return list(server.ask(asked))


def most_at_once(runs: Sequence[WorkflowExecution]) -> int:
    begun = [(it.start_time, 1) for it in runs]
    ended = [(it.close_time or it.start_time, -1) for it in runs]
    return max(itertools.accumulate(change for _, change in sorted(begun + ended)))


def rolls_out(site: Any, count: int, wave: int, queue: str, meanwhile: Callable[[str], None]) -> tuple[int, int]:
    """A canary, then waves, of which two clusters may fail; the third failure is planted in the middle.

    Returns how many were begun, and how many were at work at once.
    """
    prefix = f"of{count}"
    names = clusters(prefix, count)
    broken = [names[2], names[count // 3], names[count // 2]]
    for name in broken:
        site.vcenter.fail("CloneVM_Task", f"?-{name}-1")
    work = site.work(names[0], silence=6.0, attempts=3)
    for name in names:
        site.cluster(name)
    wanted = Rollout(f"all-{count}", [Member(it, queue) for it in names], work, wave=wave, failures=2)
    assert site.server.ask(lambda client: asking.begin_rollout(client, wanted))
    meanwhile(f"rollout/all-{count}")
    look = site.ended(f"rollout/all-{count}", count * LIMIT / 20)

    begun = 1 + -(-(count // 2) // wave) * wave
    assert (look.ended, look.told) == ("failed", [f"TooManyFailures: 3 have failed, {count - begun} were not begun"])
    assert sorted(look.rollout.failed) == broken
    assert look.rollout.left == names[begun:]
    made = {name: site.machines(name) for name in names}
    assert made == {
        name: [f"m-{name}-1", f"w-{name}-1"] if name in names[:begun] and name not in broken else [] for name in names
    }
    runs = executions(site.server, "ClusterWorkflow", f"{prefix}-")
    assert Counter(it.id for it in runs) == Counter(names[:begun])
    return begun, most_at_once(runs)


def test_over_20_clusters_it_ends_as_its_policy_says_also_when_worker_and_server_go_away(site: Any) -> None:
    worker = site.worker("twenty")

    def go_away(name: str) -> None:
        site.until(name, lambda look: look.rollout and look.rollout.wave == 2 and look.rollout.running)
        worker.kill()
        site.server.stop()
        site.server.start()
        site.worker("twenty")

    _, most = rolls_out(site, 20, 5, "twenty", go_away)
    assert most <= 5


@pytest.mark.night
def test_over_200_clusters_as_well(site: Any, record_property: Callable[[str, object], None]) -> None:
    site.worker("hundreds")
    begun = time.monotonic()
    site.begin(site.work("alone"), "hundreds")
    assert site.ended("alone").ended == "done"
    one, begun = time.monotonic() - begun, time.monotonic()
    count, most = rolls_out(site, 200, 20, "hundreds", lambda _: None)
    seconds = time.monotonic() - begun
    begun_of = f"{count} of 200 begun in {seconds:.0f} s, one alone {one:.1f} s"
    figures = f"{begun_of}: {count * one / seconds:.2f} times as fast as one after another, {most} runs at once at most"
    record_property("200 clusters", figures)
    print(figures)
    assert most <= 20


@pytest.mark.parametrize("name", ["rollout/waves", "rollout/shared", "rollout/all-20"])
def test_its_history_leads_to_the_same_again(server: Any, name: str) -> None:
    """Of those above: another worker takes them up from it."""
    replayed = Replayer(workflows=WORKFLOWS).replay_workflow(server.history(name))
    assert asyncio.run(replayed).replay_failure is None


def test_no_secret_is_in_what_the_server_keeps_of_them(site: Any) -> None:
    """After all above."""
    kept = site.server.kept()
    assert b"m-of20-001-1" in kept
    assert [secret for secret in site.secrets() if secret in kept] == []
