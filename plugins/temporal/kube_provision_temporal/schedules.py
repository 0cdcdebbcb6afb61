"""Schedules of the server, of which each has the id `schedule/CLUSTER/WHAT`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleSpec,
    ScheduleUpdate,
)

from .client import PATIENCE, answering, look_at
from .reconciling import Reconcile
from .reports import Report, Told
from .scheduled import ReconcileWorkflow, ReportWorkflow
from .showing import Look

SCHEDULE = "schedule/"
"""How a schedule's id begins, and no cluster's or roll-out's does."""
RECONCILE = "reconcile"


def name_of(what: Report | Reconcile) -> str:
    return f"{SCHEDULE}{what.cluster}/{what.kind if isinstance(what, Report) else RECONCILE}"


async def put(client: Client, what: Report | Reconcile, task_queue: str, spec: ScheduleSpec) -> bool:
    """Have it done again and again. While one runs no other begins.

    False: there was one of this name, and it is changed; if somebody has paused it, it stays so.
    """
    name = name_of(what)
    run: Any = ReportWorkflow.run if isinstance(what, Report) else ReconcileWorkflow.run
    schedule = Schedule(ScheduleActionStartWorkflow(run, what, id=name, task_queue=task_queue), spec)
    with answering(name):
        try:
            await client.create_schedule(name, schedule, rpc_timeout=PATIENCE)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(name).update(
                lambda found: ScheduleUpdate(replace(schedule, state=found.description.schedule.state)), rpc_timeout=PATIENCE
            )
            return False
    return True


async def tell(client: Client, name: str, word: str) -> None:
    """`pause` it, `resume` it, or `cancel` it, which ends it. What it has begun goes on."""
    handle = client.get_schedule_handle(name)
    with answering(name):
        match word:
            case "pause":
                await handle.pause(rpc_timeout=PATIENCE)
            case "resume":
                await handle.unpause(rpc_timeout=PATIENCE)
            case "cancel":
                await handle.delete(rpc_timeout=PATIENCE)


async def look(client: Client, name: str) -> Look:
    """How the last one ended, and when the next one begins."""
    with answering(name):
        found = await client.get_schedule_handle(name).describe(rpc_timeout=PATIENCE)
    paused = ["paused: nothing is begun until `resume`"] if found.schedule.state.paused else []
    following = paused or [f"next: {at:%Y-%m-%dT%H:%M:%SZ}" for at in found.info.next_action_times[:1]]
    if not found.info.recent_actions:
        return Look(name, ended="not begun so far", told=following)
    last = found.info.recent_actions[-1].action
    assert isinstance(last, ScheduleActionExecutionStartWorkflow)
    ended = await look_at(client, name, last.workflow_id, last.first_execution_run_id, Told)
    return Look(name, ended=ended.ended or "under way", told=[*ended.told, *following])
