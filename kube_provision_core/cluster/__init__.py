"""The cluster that lives already: its API, its etcd, and what a run asks of them before it changes anything.

`api`, with the HTTPS client, is loaded only for a run that asks a living cluster.
"""

from __future__ import annotations

from .living import Living, control_plane, look
from .quorum import leaders
from .readiness import NOBODY_ASKED, Readiness, ask_readiness, hint, node_of
from .roll import Roll

__all__ = [
    "NOBODY_ASKED",
    "Living",
    "Readiness",
    "Roll",
    "ask_readiness",
    "control_plane",
    "hint",
    "leaders",
    "look",
    "node_of",
]
