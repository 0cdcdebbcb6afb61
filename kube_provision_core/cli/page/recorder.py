"""What a run's page will tell, taken down beside the view of it that its user has, and written once the run has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ...contract.kept_files import replace_file
from .. import own_file
from ..ending import ending
from .timeline import Timeline

if TYPE_CHECKING:
    from ...engine.executor import Event
    from ...engine.identity import Identity
    from ...engine.plan import Plan
    from ...engine.report import Report

MARK = b"<!doctype html>\n<!-- A run of kube-provision -->\n"
"""What a page begins with: a file that begins otherwise is somebody else's, and is not replaced."""


def check(path: Path) -> None:
    """Raise `ConfigError` where a page could not be written now, or would take the place of something else."""
    own_file.check(path, MARK, "report")


class Recorder:
    """Everything that the page tells."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self.when = datetime.now().astimezone()
        self.began = time.monotonic()
        self.ended = self.began
        self.timeline = Timeline()
        self.plan: Plan | None = None
        self.identity: Identity | None = None
        self.report: Report | None = None
        self.returned = 0
        """By a program on a machine, which the run was for."""

    def begin(self, plan: Plan, identity: Identity) -> None:
        self.plan, self.identity = plan, identity
        self.timeline.begin(plan.actions)

    def take(self, event: Event) -> None:
        self.timeline.take(event, time.monotonic())

    def end(self, report: Report) -> None:
        self.report = report
        self.timeline.settle(report.outcomes, time.monotonic())


@contextmanager
def recorded(cluster: str, path: Path, lost: Callable[[OSError], None]) -> Iterator[Recorder]:
    """Write the page, 0600, when the context ends, however it does. `lost` is called where that cannot be done any more."""
    recorder, error = Recorder(cluster), None
    try:
        yield recorder
    except BaseException as problem:
        error = problem
        raise
    finally:
        recorder.ended = time.monotonic()
        try:
            from .rendering import page  # jinja2, for who wants a page

            replace_file(path, page(recorder, ending(recorder.report, error, recorder.returned)).encode())
        except OSError as problem:
            lost(problem)
