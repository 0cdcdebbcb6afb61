"""What workers do: plan a verb, apply a plan, report. Each is one run of the program, beside the cluster's site."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from . import plans, program, reports, words
from .program import BAD_INPUT, INTERRUPTED, TROUBLE, Ended
from .reports import Backups, Report, Told
from .values import Agreed, Done, Failure, Plan, Progress, Work

HEARTBEAT = 5.0
"""Seconds between two heartbeats, unless they are awaited sooner."""

_LINES, _LENGTH = 20, 1000
"""How much of what went wrong travels: lines, and letters of one."""

log = logging.getLogger(__name__)


class Activities:
    """For a worker whose clusters' configurations lie in `folder`. What lets into sites is in its environment."""

    def __init__(self, folder: Path, backups: Backups | None = None) -> None:
        self._folder = folder
        self._backups = backups

    @activity.defn(name="plan")
    async def plan(self, work: Work) -> Plan:
        """What the verb would do now. Changes nothing."""
        _refuse(words.faults(work))
        options = words.given_to("plan", work.options)
        ended = await self._ended("plan", work.verb, *options, *_site(work.cluster, work.config))
        _check_end(ended)
        return plans.read(ended.output)

    @activity.defn(name="apply")
    async def apply(self, agreed: Agreed) -> Done:
        """Do what was planned, if that is still what would be done."""
        work = agreed.work
        _refuse([*words.faults(work), *plans.faults(agreed)])
        with tempfile.TemporaryDirectory(prefix="kube-provision-") as folder:
            plan = Path(folder, "plan.json")
            plan.write_text(agreed.document)
            options = words.given_to("apply", work.options)
            ended = await self._ended("apply", str(plan), *options, "--progress", "json", *_site(work.cluster, work.config))
        if ended.code == BAD_INPUT and not (ended.retryable or ended.begun):
            raise _failure(Failure.UNTOUCHED, ["this plan is refused by now, and nothing was touched", *ended.problems])
        left = left_for_later(work, ended)
        if not left:
            _check_end(ended)
        report = json.loads(ended.output)
        return Done(work.cluster, notes=plans.shown(report["notes"]), hints=plans.shown(report["hints"]), left=left)

    @activity.defn(name="report")
    async def report(self, report: Report) -> Told:
        """A backup, or a look at the cluster, which changes nothing."""
        _refuse(reports.faults(report))
        command = reports.command(report, self._backups)
        if not command:
            raise _failure(Failure.BAD_INPUT, ["this worker makes no backups: give it --backups and --recipients-file"])
        ended = await self._ended(*command, *_site(report.cluster, report.config))
        _check_end(ended)
        return reports.told(report, json.loads(ended.output))

    async def _ended(self, *command: str) -> Ended:
        async with _beating() as heard:
            ended = await program.run(command, self._folder, heard)
        for line in ended.told:
            log.info("%s: %s", activity.info().workflow_id, line)
        return ended


def _check_end(ended: Ended) -> None:
    """Raise what did not end well, and `CancelledError` where it was stopped because of that."""
    if ended.code == 0:
        return
    if activity.is_worker_shutdown():
        raise _failure(_passing(ended), ["its worker was stopped"])
    if activity.is_cancelled():
        raise asyncio.CancelledError
    raise _failure(*judged(ended))


def _refuse(faults: Sequence[str]) -> None:
    """Who starts workflows is not only our own client."""
    if faults:
        raise _failure(Failure.BAD_INPUT, faults)


def _site(cluster: str, config: Sequence[str]) -> list[str]:
    files = config or [f"{cluster}.yml"]
    return ["--name", cluster, *(word for file in files for word in ("--config", file)), "--output", "json"]


def judged(ended: Ended) -> tuple[Failure, Sequence[str]]:
    """What it is, and what may be told of it: a bug's traceback may hold anything, and stays in the worker's log."""
    if (report := _report(ended)) is not None:
        failure = Failure.TROUBLE if report["retryable"] else Failure.BAD_INPUT
        return failure, [*_failed(report), *ended.problems]
    if ended.retryable or ended.code in (TROUBLE, INTERRUPTED):
        return _passing(ended), ended.problems or ["interrupted"]
    if ended.code == BAD_INPUT:
        return Failure.BAD_INPUT, ended.problems
    if ended.code < 0:
        return Failure.TROUBLE, [f"signal {-ended.code} has ended it"]
    return Failure.BUG, [f"kube-provision has ended with exit code {ended.code}; its worker's log says more"]


def left_for_later(work: Work, ended: Ended) -> list[str]:
    """Nodes whose turn would have begun after `--until`, of a run in which that is all that went otherwise."""
    report = _report(ended)
    if report is None or report["folder_error"] or not any(word.startswith("--until") for word in work.options):
        return []
    return list(report["postponed"])  # these verbs postpone nothing where anything has failed, or was interrupted


def _passing(ended: Ended) -> Failure:
    return Failure.TROUBLE if ended.begun else Failure.UNTOUCHED


def _report(ended: Ended) -> dict[str, Any] | None:
    with suppress(ValueError):
        said = json.loads(ended.output)
        return said if isinstance(said, dict) and "retryable" in said else None
    return None


def _failed(report: dict[str, Any]) -> list[str]:
    rows = [(it["name"], it) for it in report["nodes"]] + [(it["subject"], it) for it in report["others"]]
    lines = [f"{name}: {row['text']}" for name, row in rows if row["state"] == "failed"]
    lines += [f"left to another run: {name}" for name in report["postponed"]]
    return [*lines, *filter(None, [report["folder_error"]])] or [f"partly done, exit code {report['exit_code']}"]


def _failure(kind: Failure, lines: Sequence[str]) -> ApplicationError:
    """The workflow decides what is tried again, and when; for Temporal each attempt is one of its own."""
    shown = [line[:_LENGTH] for line in plans.shown(lines[:_LINES])]
    passing = kind in (Failure.TROUBLE, Failure.UNTOUCHED)
    return ApplicationError("\n".join(shown), type=kind.value, non_retryable=not passing)


@asynccontextmanager
async def _beating() -> AsyncIterator[Callable[[Progress], None]]:
    """Tell the server that it lives, and how far it is, until the context ends."""
    progress = Progress()

    def take(now: Progress) -> None:
        nonlocal progress
        progress = now

    awaited = activity.info().heartbeat_timeout
    pause = min(HEARTBEAT, awaited.total_seconds() / 4 if awaited else HEARTBEAT)

    async def beat() -> None:
        while True:
            activity.heartbeat(progress)
            await asyncio.sleep(pause)

    beats = asyncio.create_task(beat())
    try:
        yield take
    finally:
        beats.cancel()
