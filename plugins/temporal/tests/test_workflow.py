"""What a workflow makes of what its activities say, on a real server: these say it from a script, so that it is known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from kube_provision_temporal import client as asking
from kube_provision_temporal.cluster import ClusterWorkflow
from kube_provision_temporal.showing import Look
from kube_provision_temporal.values import Action, Agreed, Approval, Done, Failure, Phase, Plan, Work

pytestmark = pytest.mark.integration
LIMIT = 600.0
"""Seconds for what takes one on a quiet machine."""

Handle = WorkflowHandle[Any, Any]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE", timedelta(seconds=120))


def failing(kind: Failure, text: str) -> ApplicationError:
    return ApplicationError(text, type=kind.value, non_retryable=kind not in (Failure.TROUBLE, Failure.UNTOUCHED))


def plan(digest: str, *actions: Action) -> Plan:
    return Plan(digest * 8, list(actions))


CREATE = plan("c", Action("+", "create", "w-1", details="s1"))
DONE = Done("any")
TROUBLE = failing(Failure.TROUBLE, "w-1: no answer")


class Script:
    """Plans and ends of runs, in their order; the last stays. None: it runs until it is stopped, and `stopped` is set."""

    def __init__(self, plans: Sequence[Plan | Exception], ends: Sequence[Done | Exception | None] = (DONE,)) -> None:
        self._plans, self._ends = list(plans), list(ends)
        self.applied: list[str] = []
        self.stopped = asyncio.Event()

    @activity.defn(name="plan")
    async def plan(self, work: Work) -> Plan:
        return self._told(self._plans)

    @activity.defn(name="apply")
    async def apply(self, agreed: Agreed) -> Done:
        self.applied.append(agreed.digest)
        done: Done | None = self._told(self._ends)
        return done or await self._run()

    def _told(self, answers: list[Any]) -> Any:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _run(self) -> Done:
        try:
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            await self.stopped.wait()
            raise


def play(server: Any, work: Work, script: Script, *steps: Callable[[Handle], Awaitable[object]]) -> Look:
    """How it ends, where these steps are taken meanwhile."""

    async def played(client: Client) -> Look:
        worker = Worker(
            client,
            task_queue=work.cluster,
            workflows=[ClusterWorkflow],
            activities=[script.plan, script.apply],
            max_heartbeat_throttle_interval=timedelta(seconds=0.5),
        )
        async with worker:
            await asking.start(client, work, work.cluster)
            handle = client.get_workflow_handle(work.cluster)
            for step in steps:
                await step(handle)
            with suppress(WorkflowFailureError):
                await handle.result()
            return await asking.look(client, work.cluster)

    return server.ask(lambda client: asyncio.wait_for(played(client), LIMIT))


def until(phase: Phase, digest: str = "") -> Callable[[Handle], Awaitable[None]]:
    async def waiting(handle: Handle) -> None:
        while True:
            with suppress(asking.UnreachableError):  # it is busy
                state = await asking.state_of(handle)
                if state.phase is phase and state.digest.startswith(digest):
                    return
            await asyncio.sleep(0.1)

    return waiting


def approve(digest: str) -> Callable[[Handle], Awaitable[object]]:
    return lambda handle: handle.execute_update(ClusterWorkflow.approve, digest * 8)


async def pause(handle: Handle) -> None:
    await handle.signal("pause")


async def cancel(handle: Handle) -> None:
    await handle.cancel()


def work(name: str, verb: str = "provision", *options: str, **more: Any) -> Work:
    return Work(name, verb, list(options), **{"approval": Approval.NEVER, "retry_after": 0.1, **more})


def test_who_is_cancelled_while_a_pause_stops_it_is_not_paused_for_ever(server: Any) -> None:
    script = Script([CREATE], [None])

    async def stop(_: Handle) -> None:
        await asyncio.sleep(1)
        script.stopped.set()

    steps = (until(Phase.APPLYING), pause, until(Phase.STOPPING), cancel, stop)
    assert play(server, work("both"), script, *steps).ended == "cancelled"


@pytest.mark.parametrize("words", [("replace", "--node", "w-1"), ("upgrade", "--os")])
def test_what_would_do_again_what_is_done_is_not_tried_again(server: Any, words: tuple[str, ...]) -> None:
    script = Script([CREATE], [failing(Failure.UNTOUCHED, "busy"), TROUBLE, DONE])
    look = play(server, work(f"once-{words[0]}", *words), script)
    assert look.told[0] == "GivenUp: w-1: no answer"
    assert look.told[1].startswith("nothing is tried again")
    assert len(script.applied) == 2, "what has begun nothing is tried again"


def test_a_replacement_that_is_paused_ends(server: Any) -> None:
    script = Script([CREATE], [None])
    script.stopped.set()
    look = play(server, work("paused-once", "replace", "--node", "w-1"), script, until(Phase.APPLYING), pause)
    assert look.told[0] == "GivenUp: it was paused"


def test_one_that_converges_is_tried_again(server: Any) -> None:
    script = Script([CREATE], [TROUBLE, DONE])
    assert play(server, work("drifted", "replace", "--drifted"), script).ended == "done"


def test_a_word_is_for_one_machine_and_for_one_removal(server: Any) -> None:
    """The plan of another machine asks again, and so does one that would remove again what was removed."""
    removal, other = Action("-", "destroy", "w-1", details="vm-1"), Action("-", "destroy", "w-1", details="vm-2")
    plans = [plan("a", removal), plan("b", other), CREATE, plan("d", other)]
    script = Script(plans, [TROUBLE, TROUBLE, TROUBLE, DONE])
    steps = [step for letter in "abd" for step in (until(Phase.ASKING, letter), approve(letter))]
    look = play(server, work("words", "destroy", approval=Approval.REMOVALS), script, *steps)
    assert (look.ended, [digest[0] for digest in script.applied]) == ("done", ["a", "b", "c", "d"])


def test_a_plan_that_is_refused_by_now_is_made_anew_even_where_that_is_refused_for_a_while(server: Any) -> None:
    plans = [CREATE, failing(Failure.UNTOUCHED, "w-2 is not Ready"), CREATE]
    look = play(server, work("refused"), Script(plans, [failing(Failure.UNTOUCHED, "this plan is refused by now"), DONE]))
    assert (look.ended, look.told[0]) == ("done", "changes: 1, attempts: 3")


def test_what_a_time_has_left_is_an_end_of_its_own(server: Any) -> None:
    script = Script([CREATE], [Done("any", left=["w-2"])])
    look = play(server, work("left", "replace", "--drifted", "--until", "2026-11-30T04:30+01:00"), script)
    assert (look.ended, look.told[1]) == ("left to another run", "left to another run: w-2")


@pytest.mark.parametrize(("name", "value"), [("attempts", 5000), ("approval_timeout", 1e15), ("silence", 0.0)])
def test_numbers_without_bounds_end_it_at_once(server: Any, name: str, value: float) -> None:
    """Whoever writes workflows by other means than our client could have one fail for ever."""
    script = Script([CREATE])
    look = play(server, work(f"bounds-{name.replace('_', '-')}", **{name: value}), script)
    assert look.told[0].startswith("BadInput: ")
    assert script.applied == []
