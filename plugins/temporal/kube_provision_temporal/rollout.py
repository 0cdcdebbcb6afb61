"""A verb for many clusters as a workflow; each is a workflow of its own, as if somebody had started it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
)

with workflow.unsafe.imports_passed_through():
    from .cluster import ClusterWorkflow, why
    from .policy import Member, Rollout, RolloutPhase, RolloutState, SoFar, faults
    from .values import Done, Failure

_FIRST_LOOK, _LONGEST_LOOK = 5.0, 600.0
"""Seconds between two looks whether a cluster is free, doubled from the one to the other."""

_LETTERS, _SHOWN = 200, 20
"""How much of why a cluster has failed is kept, and how many of those a failure tells."""


@workflow.defn(name="RolloutWorkflow")
class RolloutWorkflow:
    """The canary, then wave after wave, while a window is open, until too many have failed."""

    @workflow.init
    def __init__(self, rollout: Rollout) -> None:
        before = rollout.so_far
        self._rollout = rollout
        self._phase = RolloutPhase.AT_WORK
        self._wave = 0
        self._until = ""
        self._paused = before.paused
        self._done, self._unfinished, self._failed = list(before.done), list(before.unfinished), dict(before.failed)
        self._running: list[str] = []
        self._busy: list[str] = []

    @workflow.run
    async def run(self, rollout: Rollout) -> RolloutState:
        if wrong := faults(self._rollout):
            raise ApplicationError("\n".join(wrong[:_SHOWN]), type=Failure.BAD_INPUT.value, non_retryable=True)
        for number, wave in enumerate(self._rollout.waves, 1):
            if self._have_ended(wave):
                continue
            self._begin_anew_where_history_is_long()
            await self._between(number)
            self._wave = number
            await self._all_of(wave)
            if self._rollout.is_over(self._failed):
                self._phase = RolloutPhase.ENDED
                raise ApplicationError(self._verdict(), self.state(), type=Failure.TOO_MANY.value, non_retryable=True)
        self._phase = RolloutPhase.ENDED
        return self.state()

    def _have_ended(self, wave: Sequence[Member]) -> bool:
        return all(member.cluster in self._failed or member.cluster in self._done for member in wave)

    def _begin_anew_where_history_is_long(self) -> None:
        """Between two waves, when nothing of it runs."""
        if workflow.info().is_continue_as_new_suggested():
            so_far = SoFar(self._done, self._unfinished, self._failed, self._paused)
            workflow.continue_as_new(replace(self._rollout, so_far=so_far))

    async def _between(self, number: int) -> None:
        if number > 1 and self._rollout.pause:
            await self._wait(RolloutPhase.BETWEEN, self._rollout.pause)
        await self._may_begin()

    async def _may_begin(self) -> None:
        """Wait for whoever has paused it and for a window, which may close meanwhile."""
        while True:
            await workflow.wait_condition(lambda: not self._paused)
            if not (seconds := self._rollout.opens_in(workflow.now())):
                return
            await self._wait(RolloutPhase.CLOSED, max(1.0, seconds))

    async def _wait(self, why: RolloutPhase, seconds: float) -> None:
        if not self._running:
            self._phase = why
            self._until = f"{workflow.now() + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
        await asyncio.sleep(seconds)
        self._phase, self._until = RolloutPhase.AT_WORK, ""

    async def _all_of(self, wave: Sequence[Member]) -> None:
        ended = await asyncio.gather(*map(self._cluster, wave), return_exceptions=True)  # cancelled, it waits for all
        for bug in filter(None, ended):
            raise bug

    async def _cluster(self, member: Member) -> None:
        name = member.cluster
        try:
            if (run := await self._begun(member)) is None:
                return
            self._running.append(name)
            done = await run
        except ChildWorkflowError as error:
            self._failed[name] = (why(error).splitlines() or ["no reason told"])[0][:_LETTERS]
        except WorkflowAlreadyStartedError:
            self._failed[name] = f"something else was under way for {timedelta(seconds=self._rollout.busy_timeout)}"
        else:
            self._done.append(name)
            self._unfinished += [name] if done.left else []
        finally:
            with suppress(ValueError):
                self._running.remove(name)

    async def _begun(self, member: Member) -> workflow.ChildWorkflowHandle[ClusterWorkflow, Done] | None:
        """Its run, once nobody else's is at work on it. None: too many have failed meanwhile."""
        left, look = self._rollout.busy_timeout, _FIRST_LOOK
        while True:
            try:
                return await workflow.start_child_workflow(
                    ClusterWorkflow.run,
                    self._rollout.work_of(member),
                    id=member.cluster,
                    task_queue=member.task_queue,
                    parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
                )
            except WorkflowAlreadyStartedError:
                if left <= 0:
                    raise
            seconds = min(look, left)
            left, look = left - seconds, min(2 * look, _LONGEST_LOOK)
            self._busy.append(member.cluster)
            try:
                await asyncio.sleep(seconds)
                await self._may_begin()
            finally:
                self._busy.remove(member.cluster)
            if self._rollout.is_over(self._failed):
                return None

    def _verdict(self) -> str:
        state = self.state()
        told = [f"{name}: {why}" for name, why in list(self._failed.items())[:_SHOWN]]
        return "\n".join([f"{len(self._failed)} have failed, {len(state.left)} were not begun", *told])

    @workflow.query(name="state")
    def state(self) -> RolloutState:
        paused = self._paused and self._phase is not RolloutPhase.ENDED
        begun = {*self._done, *self._running, *self._busy, *self._failed}
        return RolloutState(
            self._rollout.name,
            self._rollout.digest,
            RolloutPhase.PAUSED if paused else self._phase,
            self._wave,
            len(self._rollout.waves),
            sorted(self._done),
            sorted(self._unfinished),
            list(self._running),
            list(self._busy),
            dict(self._failed),
            [it.cluster for it in self._rollout.members if it.cluster not in begun],
            "" if paused else self._until,
        )

    @workflow.signal(name="pause")
    def pause(self) -> None:
        """Begin no further cluster. Those that are at work go on."""
        self._paused = True

    @workflow.signal(name="resume")
    def resume(self) -> None:
        self._paused = False
