"""`render_boot` of a target: the publisher, and whatever else its machines need."""

from __future__ import annotations

from ..parts import PublisherChecks
from .fixtures import TargetFixtures


class MachinePartChecks(TargetFixtures, PublisherChecks):
    pass
