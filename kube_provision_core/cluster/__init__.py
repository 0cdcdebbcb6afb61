"""The cluster that lives already: its API, its etcd, and what a run asks of them before it changes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .living import Living, control_plane, look
from .quorum import leaders
from .readiness import NOBODY_ASKED, Readiness, ask_readiness, hint, node_of
from .roll import Roll

if TYPE_CHECKING:
    from .api import ClusterNode, ControlPlane, EtcdMember, EtcdQuorum

__all__ = [
    "NOBODY_ASKED",
    "ClusterNode",
    "ControlPlane",
    "EtcdMember",
    "EtcdQuorum",
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


def __getattr__(name: str) -> Any:
    """Load the HTTPS client only for a run that asks a living cluster."""
    if name in ("ClusterNode", "ControlPlane", "EtcdMember", "EtcdQuorum"):
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
