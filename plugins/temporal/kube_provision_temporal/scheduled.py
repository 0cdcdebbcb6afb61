"""What a schedule begins. Its id is the schedule's, and no cluster's: a report waits for nobody's run, and hinders none."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, CancelledError, ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from .activities import Activities
    from .cluster import ClusterWorkflow, why
    from .reconciling import Reconcile, faults
    from .reports import Report, Told
    from .values import Failure


@workflow.defn(name="ReportWorkflow")
class ReportWorkflow:
    """A backup, the ends of certificates, or drift."""

    @workflow.run
    async def run(self, report: Report) -> Told:
        return await workflow.execute_activity_method(
            Activities.report,
            report,
            start_to_close_timeout=timedelta(hours=12),
            heartbeat_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=30), maximum_attempts=5),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )


@workflow.defn(name="ReconcileWorkflow")
class ReconcileWorkflow:
    """Runs of the cluster, one after another, unless another one is under way."""

    @workflow.run
    async def run(self, reconcile: Reconcile) -> Told:
        if wrong := faults(reconcile):
            raise ApplicationError("\n".join(wrong), type=Failure.BAD_INPUT.value, non_retryable=True)
        changes, lines = 0, list[str]()
        for work in reconcile.works:
            try:
                done = await workflow.execute_child_workflow(
                    ClusterWorkflow.run,
                    work,
                    id=work.cluster,
                    parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
                )
            except WorkflowAlreadyStartedError:
                return Told(reconcile.cluster, [*lines, "something else is under way: the rest is left to the next time"])
            except ChildWorkflowError as error:
                if isinstance(error.cause, CancelledError):
                    raise
                failed = [f"{work.verb}: {line}" for line in why(error).splitlines()]
                return Told(reconcile.cluster, [*lines, *failed], attention=True)
            changes += done.changes
            lines += [f"{work.verb}: not allowed: {line}" for line in done.beyond]
        return Told(reconcile.cluster, [f"changes: {changes}", *lines], attention=bool(lines))
