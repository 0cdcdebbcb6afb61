"""A run that changes things, as its user sees it: the plan, the progress, the interrupt, the report."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import click

from ..apply import Interrupt
from .interrupt import requests
from .output import emit
from .plans import plan_table
from .progress import View, view
from .reports import report_data, report_table
from .talk import note, say

if TYPE_CHECKING:
    from ..apply import Event
    from ..plan import Plan
    from ..report import Report


class Running(ExitStack):
    """One run, until the context ends: what the core tells, and what the user answers."""

    def __init__(self, cluster: str, progress: str, confirm: Callable[[], None] = lambda: None) -> None:
        """`confirm` is called once the plan has been shown; it raises where the user does not agree."""
        super().__init__()
        self.interrupt = Interrupt()
        self._cluster, self._progress, self._confirm = cluster, progress, confirm
        self._view: View | None = None

    def begin(self, plan: Plan) -> None:
        """Show the plan. From then on progress is shown, and Ctrl-C is a request to stop."""
        for text in plan.notes:
            note(text)
        say(plan_table(plan))
        self._confirm()
        self._view = self.enter_context(view(self._progress, self._cluster, plan.actions))
        self.enter_context(requests(self._stop))

    def listen(self, event: Event) -> None:
        if self._view:
            self._view.show(event)

    def _stop(self) -> None:
        self.interrupt.request()
        leaving = self.interrupt.abandon.is_set()
        if self._view:
            self._view.notice("leaving what still runs" if leaving else "stopping: waiting for what runs; again to leave it")


def finish(report: Report, form: str) -> int:
    """Print the report; the exit code says how the run ended."""
    return conclude(report, report_data(report), form, lambda: report_table(report))


class Ended(Protocol):
    """What came of any run."""

    @property
    def exit_code(self) -> int: ...

    @property
    def abandoned(self) -> bool: ...


def conclude(report: Ended, data: Any, form: str, as_table: Callable[[], str]) -> int:
    """Print what came of a run. Where threads still wait for the target the process ends here: an ordinary end would wait
    for them.
    """
    try:
        emit(data, form, as_table)
        exit_code = report.exit_code
    except click.exceptions.Exit as unread:
        exit_code = unread.exit_code
    if report.abandoned:
        os._exit(exit_code)
    return exit_code
