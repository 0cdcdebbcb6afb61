"""A worker: it stands beside a site, and does what is asked for on its task queue."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker

from .activities import HEARTBEAT, Activities
from .client import UnreachableError, check_namespace
from .cluster import ClusterWorkflow
from .reports import Backups
from .rollout import RolloutWorkflow
from .scheduled import ReconcileWorkflow, ReportWorkflow

WORKFLOWS = (ClusterWorkflow, RolloutWorkflow, ReportWorkflow, ReconcileWorkflow)


async def serve(
    client: Client, task_queue: str, folder: Path, parallel: int, ready: Callable[[], None], backups: Backups | None = None
) -> None:
    """Until SIGTERM, SIGINT or SIGHUP: then what runs here is stopped, as by Ctrl-C, for another worker to go on with it.

    Raises `UnreachableError` where the server keeps it from work. `parallel`: runs at once. `ready` is called once it asks
    for work.
    """
    await check_namespace(client)
    does = Activities(folder, backups)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=[does.plan, does.apply, does.report],
        max_concurrent_activities=parallel,
        max_heartbeat_throttle_interval=timedelta(seconds=HEARTBEAT),  # a cancellation is heard with a heartbeat's answer
    )
    runs, stops = asyncio.create_task(worker.run()), asyncio.create_task(stop.wait())
    ready()
    await asyncio.wait([runs, stops], return_when=asyncio.FIRST_COMPLETED)
    stops.cancel()
    if not runs.done():
        await worker.shutdown()
    try:
        await runs
    except RuntimeError as error:  # of Temporal's library, where the server takes no more of it
        raise UnreachableError(f"worker: {task_queue}: {error}") from error
