"""Records a run for its page, beside the view of it that its user has."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from . import file
from .ending import ending
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...engine.executor import Event
    from ...engine.identity import Identity
    from ...engine.plan import Plan
    from ...engine.report import Report

Lost = Callable[[OSError], None]


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

    def begin(self, plan: Plan, identity: Identity) -> None:
        self.plan, self.identity = plan, identity
        self.timeline.begin(plan.actions)

    def take(self, event: Event) -> None:
        self.timeline.take(event, time.monotonic())

    def end(self, report: Report) -> None:
        self.report = report
        self.timeline.settle(report.outcomes, time.monotonic())


@contextmanager
def recorded(cluster: str, path: Path, lost: Lost) -> Iterator[Recorder]:
    """Write the page when the context ends, however it does. `lost` is called where that cannot be done any more."""
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

            file.write(path, page(recorder, ending(recorder.report, error)))
        except OSError as problem:
            lost(problem)
