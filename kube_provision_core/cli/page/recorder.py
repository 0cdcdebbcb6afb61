"""What a run's page will tell, taken down beside the view of it that its user has."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from .timeline import Timeline

if TYPE_CHECKING:
    from ...engine.executor import Event
    from ...engine.identity import Identity
    from ...engine.plan import Plan
    from ...engine.report import Report


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
