"""A run that changes things, as its user sees it: the plan, the progress, the interrupt, the report."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Self

import click

from ..engine.executor import Interrupt
from .bakes import bake_data, bake_table
from .interrupt import leaving, requests
from .output import OUTPUT_LOST, emit
from .page.recorder import Recorder, recorded
from .plans import plan_table
from .progress import Progress, View, view
from .reports import report_data, report_table
from .talk import complain, note, say

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from ..engine.executor import Event
    from ..engine.identity import Identity
    from ..engine.plan import Plan
    from ..engine.report import Report


LOCK = "this run's lock in discovery, which ends by itself within a minute"
BEGUN = "what was begun on the target, which the next run finds"
GIVEN = "what a machine was given to do, which the next run takes away that gives it something"
"""What a run may leave that is ended at once."""


class Running(ExitStack):
    """One run, until the context ends: what the core tells, and what the user answers."""

    def __init__(
        self, cluster: str, progress: Progress, confirm: Callable[[], None] = lambda: None, *, shows_plan: bool = True
    ) -> None:
        """`confirm` is called once a plan with actions has been shown; it raises where the user does not agree."""
        super().__init__()
        self.interrupt = Interrupt()
        self._cluster, self._progress, self._confirm = cluster, progress, confirm
        self._shows_plan = shows_plan
        self._view: View | None = None
        self._recorder: Recorder | None = None
        self._report: Report | None = None
        self._returned = 0
        self._file_is_lost = False

    def __enter__(self) -> Self:
        self.enter_context(leaving(LOCK))
        if page := self._progress.page:
            self._recorder = self.enter_context(recorded(self._cluster, page, partial(self._lose, page, "report")))
        if metrics := self._progress.metrics:
            metrics.cluster = self._cluster
            self.push(self._measure)
        return super().__enter__()

    def begin(self, plan: Plan, identity: Identity) -> None:
        """Show the plan. From then on progress is shown, and Ctrl-C is a request to stop."""
        if self._recorder:
            self._recorder.begin(plan, identity)
        for text in plan.notes:
            note(text)
        if self._shows_plan:
            say(plan_table(plan))
        if plan.actions:
            self._confirm()
        self._view = self.enter_context(view(self._progress.mode, self._cluster, plan.actions, asks=not self._shows_plan))
        left = BEGUN if self._shows_plan else GIVEN
        self.enter_context(requests(self._stop, left=left, reports=self._shows_plan))

    def listen(self, event: Event) -> None:
        if self._recorder:
            self._recorder.take(event)
        if self._view:
            self._view.show(event)

    def end(self, report: Report) -> None:
        self._report = report
        if self._recorder:
            self._recorder.end(report)

    def returned(self, code: int) -> None:
        """What a program on a machine has, which the command returns, too."""
        self._returned = code
        if self._recorder:
            self._recorder.returned = code

    def finish(self, report: Report, form: str) -> int:
        """Print the report; the exit code says how the run ended, or that its page, or its metrics, are lost."""
        return self.exit_code(finish(report, form))

    def exit_code(self, code: int) -> int:
        """The code, or that a file of the run is lost where all went well otherwise."""
        return code or (OUTPUT_LOST if self._file_is_lost else 0)

    def _measure(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        metrics = self._progress.metrics
        assert metrics
        try:
            metrics.write(self._report, error, self._returned)
        except OSError as problem:
            self._lose(metrics.path, "file of metrics", problem)

    def _lose(self, path: Path, what: str, error: OSError) -> None:
        self._file_is_lost = True
        complain(f"{path}: the {what} cannot be written any more: {error.strerror or error}")

    def _stop(self) -> None:
        self.interrupt.request()
        leaving = self.interrupt.abandon.is_set()
        if self._view:
            self._view.notice("leaving what still runs" if leaving else "stopping: waiting for what runs; again to leave it")


def finish(report: Report, form: str) -> int:
    """Print the report; the exit code says how the run ended.

    Where threads still wait for the target the process ends here: an ordinary end would wait for them.
    """
    try:
        if report.templates is None:
            emit(report_data(report), form, lambda: report_table(report))
        else:
            templates = report.templates
            emit(bake_data(report, templates), form, lambda: bake_table(report, templates))
        exit_code = report.exit_code
    except click.exceptions.Exit as unread:
        exit_code = unread.exit_code
    if report.abandoned:
        os._exit(exit_code)
    return exit_code
