"""A verb of one cluster as a workflow, whose id is the cluster's name: there is one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    TerminatedError,
)

with workflow.unsafe.imports_passed_through():
    from .activities import Activities
    from .values import Agreed, Done, Failure, Phase, Plan, State, Work
    from .words import converges, faults

_LONGEST = {"plan": timedelta(hours=1), "apply": timedelta(days=7)}
_LONGEST_PAUSE = 600.0
"""Seconds before it is tried again."""
_DOUBLED = 20
"""How often that is doubled at most."""


@workflow.defn(name="ClusterWorkflow")
class ClusterWorkflow:
    """Plan, wait until somebody agrees to it, apply. What may come right by itself is planned and applied again.

    What is left of a plan that was agreed to needs nobody's word again; a plan that would do anything else does.
    """

    @workflow.init
    def __init__(self, work: Work) -> None:
        self._work = work
        self._phase = Phase.PLANNING
        self._attempt = 1
        self._plan: Plan | None = None
        self._agreed: set[str] = set()
        self._asking = ""
        """Digest of the plan that waits for approval."""
        self._trouble: list[str] = []
        self._paused = False
        self._changed: set[str] = set()
        self._applies = False
        """What went wrong may have touched something."""

    @workflow.run
    async def run(self, work: Work) -> Done:
        if wrong := faults(self._work):
            raise _ended(Failure.BAD_INPUT, "\n".join(wrong))
        while True:
            try:
                if (done := await self._attempt_once()) is not None:
                    return done
            except ActivityError as error:
                await self._tried_again_after(error)

    async def _attempt_once(self) -> Done | None:
        """None where it was paused meanwhile, and is begun anew."""
        self._applies = False
        await self._unpaused()
        self._plan = await self._do("plan", Activities.plan, self._work, Phase.PLANNING)
        if self._plan is None:
            return None
        if beyond := self._plan.beyond(self._work.allow):
            return Done(self._work.cluster, len(self._changed), self._attempt, beyond=beyond)
        self._agreed &= {action.key for action in self._plan.actions}  # what is done would need another word
        await self._approval(self._plan)
        await self._unpaused()
        self._agreed |= {action.key for action in self._plan.actions}
        self._changed |= {action.name for action in self._plan.actions if action.changes}
        self._applies = True
        agreed = Agreed(self._work, self._plan.digest, self._plan.document)
        done: Done | None = await self._do("apply", Activities.apply, agreed, Phase.APPLYING)
        if done is None:
            self._check_converges(["it was paused"])
            return None
        return replace(done, changes=len(self._changed), attempts=self._attempt)

    async def _do(self, name: str, method: Callable[..., Any], given: Any, phase: Phase) -> Any:
        """What the activity returns; None where it was stopped because of a pause."""
        self._phase = phase
        handle = workflow.start_activity_method(
            method,
            given,
            start_to_close_timeout=_LONGEST[name],
            heartbeat_timeout=timedelta(seconds=self._work.silence),
            retry_policy=RetryPolicy(maximum_attempts=1),  # this workflow decides what is tried again
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        try:
            await workflow.wait_condition(lambda: self._paused or handle.done())
            if not handle.done():
                self._phase = Phase.STOPPING
                handle.cancel()
                await workflow.wait([handle])
        except asyncio.CancelledError:  # the run is cancelled, perhaps while a pause stops it already
            if self._phase is not Phase.STOPPING:
                handle.cancel()
            await workflow.wait([handle])
            raise
        try:
            return await handle
        except ActivityError as error:
            if self._phase is Phase.STOPPING and isinstance(error.cause, CancelledError):
                return None
            raise

    async def _approval(self, plan: Plan) -> None:
        if not plan.awaiting(self._work.approval, self._agreed):
            return
        self._phase, self._asking = Phase.ASKING, plan.digest
        patience = timedelta(seconds=self._work.approval_timeout)
        try:
            await workflow.wait_condition(lambda: not self._asking, timeout=patience)
        except TimeoutError as error:
            self._asking = ""
            raise _ended(Failure.NOT_APPROVED, f"nobody has approved the plan within {patience}") from error

    async def _unpaused(self) -> None:
        if self._paused:
            self._phase = Phase.PAUSED
            await workflow.wait_condition(lambda: not self._paused)

    async def _tried_again_after(self, error: ActivityError) -> None:
        """Wait, or raise what is not tried again."""
        cause = error.cause
        if isinstance(cause, CancelledError):
            raise error
        failed = cause if isinstance(cause, ApplicationError) else None
        self._trouble = (failed.message if failed else "its worker was lost").splitlines()
        if failed and failed.non_retryable:
            raise _ended(Failure(failed.type or Failure.BUG), failed.message) from error
        if self._applies and not (failed and failed.type == Failure.UNTOUCHED):
            self._check_converges(self._trouble)
        if self._attempt >= self._work.attempts:
            raise _ended(Failure.GIVEN_UP, f"after {self._attempt} attempts: " + "\n".join(self._trouble)) from error
        self._phase = Phase.WAITING
        seconds = min(self._work.retry_after * 2 ** min(self._attempt - 1, _DOUBLED), _LONGEST_PAUSE)
        self._attempt += 1
        await asyncio.sleep(seconds)

    def _check_converges(self, trouble: list[str]) -> None:
        """Raise where another attempt would do again what this one has done."""
        if not converges(self._work):
            again = "nothing is tried again, since that would do again what is done: see what is left, and start that"
            raise _ended(Failure.GIVEN_UP, "\n".join([*trouble, again]))

    @workflow.query(name="state")
    def state(self) -> State:
        plan = self._plan
        return State(
            self._work,
            self._phase,
            self._attempt,
            plan.digest if plan else "",
            [action for action in plan.actions if action.changes] if plan else [],
            plan.notes if plan else [],
            self._trouble,
        )

    @workflow.update(name="approve")
    def approve(self, digest: str) -> str:
        """Agree to the plan of this digest, or of one that begins so. Returns the whole digest."""
        found, self._asking = self._asking, ""
        self._phase = Phase.APPLYING
        return found

    @approve.validator
    def _check_digest(self, digest: str) -> None:
        if not self._asking:
            raise _ended(Failure.BAD_INPUT, f"no plan waits for approval. What the run is at: {self._phase}")
        if len(digest) < 8 or not self._asking.startswith(digest):
            raise _ended(Failure.BAD_INPUT, f"another plan waits for approval: {self._asking[:12]}, and not {digest[:12]}")

    @workflow.signal(name="pause")
    def pause(self) -> None:
        """Stop what runs, as Ctrl-C does, and go on when told to."""
        self._paused = True

    @workflow.signal(name="resume")
    def resume(self) -> None:
        self._paused = False


def why(error: ChildWorkflowError) -> str:
    """A cluster's run has ended otherwise than well, as the workflow that has begun it sees that."""
    match error.cause:
        case CancelledError():
            return "cancelled"
        case TerminatedError():
            return "terminated"
        case FailureError() as cause:
            return cause.message
    return str(error)


def _ended(kind: Failure, message: str) -> ApplicationError:
    return ApplicationError(message, type=kind.value, non_retryable=True)
