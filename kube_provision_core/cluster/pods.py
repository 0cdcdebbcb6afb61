"""What runs on a node, as far as it matters to who takes the node away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Pod:
    """A pod, as far as it matters to who takes its node away."""

    namespace: str
    name: str
    node: str
    labels: Mapping[str, str] = field(default_factory=dict)
    controller: str = ""
    """Kind of what makes another one in its place, such as `ReplicaSet`; empty where nothing does."""
    mirror: bool = False
    """The kubelet's own, from a file on the node: a static pod."""
    keeps_data: bool = False
    """In an `emptyDir`, which ends with it."""
    ready: bool = False
    ending: bool = False
    finished: bool = False
    tolerations: tuple[Mapping[str, Any], ...] = ()
    """As the API shows them."""
    wanted_labels: Mapping[str, str] = field(default_factory=dict)
    """Of the nodes that may take it."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def stays(self) -> bool:
        """Whether it belongs to its node: nobody else could run it, and it would come back at once."""
        return self.mirror or self.controller == "DaemonSet" or self.finished


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget that guards pods which exist."""

    namespace: str
    name: str
    spare: int
    """How many of its pods may be away while all others are there; 0 or less: it never lets one go."""
    selector: str | None
    """Which pods it guards, as queries write it; None: none."""
    kind: str = "the disruption budget"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
