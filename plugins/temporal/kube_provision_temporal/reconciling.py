"""How a cluster is brought to what its configuration says, as far as that is allowed."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import words
from .values import Approval, Effect, Work

_STEPS = (("provision",), ("replace", "--drifted"))
"""What is missing, or off; then what was made from another configuration. Another version is for somebody to choose."""


@dataclass(frozen=True)
class Reconcile:
    """Of a cluster, nothing but what is allowed."""

    cluster: str
    allow: list[Effect]
    """A plan that holds anything else is reported, and none of it is applied."""
    options: list[str] = field(default_factory=list)
    """Of `provision`."""
    config: list[str] = field(default_factory=list)
    """As a run's."""

    @property
    def works(self) -> list[Work]:
        """One after another."""
        own = {"provision": self.options}
        return [
            Work(self.cluster, verb, [*rest, *own.get(verb, ())], self.config, Approval.NEVER, allow=self.allow)
            for verb, *rest in _STEPS
        ]


def faults(reconcile: Reconcile) -> list[str]:
    """What is wrong with it, a line each."""
    return list(dict.fromkeys(line for work in reconcile.works for line in words.faults(work)))
