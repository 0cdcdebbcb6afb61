"""What a user asks for beside what should exist. Plain data: plans are compared by it, and PLAN.json holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

NUMBER_OR_SHARE = r"^0*([1-9][0-9]{0,2}|1000|([1-9][0-9]?|100)%)$"
"""Of nodes: 1 to 1000, or 1% to 100%."""

_LAST_SECOND = 253_402_300_799
"""Of the epoch in the years that have four digits."""

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Draining:
    """How nodes are emptied before they are taken away, or upgraded."""

    seconds: _Seconds = 600.0
    """For one node; then nothing is destroyed."""
    force: bool = False
    """Evict also what is lost for good: pods without a controller, and what others keep in `emptyDir`."""


@dataclass(frozen=True)
class Rolling:
    """How nodes take turns."""

    max_unavailable: Annotated[str, Field(pattern=NUMBER_OR_SHARE)] = "1"
    """How many workers at once: a number, or a share of them all, such as `20%`. Masters go one at a time."""
    burn_in: _Seconds = 0.0
    """Seconds that a node must stay ready before the next one's turn comes."""
    pause: _Seconds = 0.0
    """Seconds between turns."""
    until: Annotated[_Seconds, Field(le=_LAST_SECOND)] = 0.0
    """Seconds since the epoch after which no turn begins; 0: at any time."""

    def width(self, workers: int) -> int:
        """How many of so many at once: one at least, whatever a share of few comes to."""
        share = self.max_unavailable.removesuffix("%")
        whole = share == self.max_unavailable
        return max(1, int(share) if whole else workers * int(share) // 100)


@dataclass(frozen=True)
class Wish:
    """What is asked for beside what should exist: another wish makes another plan. Plain data."""

    wait: bool = False
    """Also wait until every machine has finished its boot."""
    nodes: tuple[str, ...] = ()
    """Names of the machines that are meant; empty: the whole cluster."""
    draining: Draining | None = field(default_factory=Draining)
    """How nodes are emptied that are destroyed alone; None ends their pods with them."""
    drifted: bool = False
    """Replace whatever was made from another configuration, has failed for good, or is missing."""
    rolling: Rolling = field(default_factory=Rolling)
    """How nodes that are replaced or upgraded take turns."""
    only: Annotated[str, Field(pattern="^(master|worker)?$")] = ""
    """The role whose nodes alone are upgraded, `master` or `worker`, or restored, `master`; empty: masters, then workers."""
    pool: str = ""
    """Workers of this pool alone are upgraded, replaced or destroyed; empty: of any, and masters."""
    backup: bool = True
    """Keep what etcd holds before a cluster is upgraded."""
    removed_apis: bool = False
    """Upgrade although clients use what the new version does not serve."""
    system: bool = False
    """Upgrade the packages of the nodes' system instead of Kubernetes."""
    archive: str = ""
    """Where the backup is that a cluster is restored from."""
    abandon_old: bool = False
    """Destroy what runs still of the cluster that is restored."""
    again: bool = False
    """Bake also what holds everything already."""
