"""The cluster that lives already: its API, its etcd, and what a run asks of them before it changes anything."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .living import Living, control_plane, look
from .quorum import leaders
from .readiness import NOBODY_ASKED, Readiness, ask_readiness, hint, node_of
from .roll import Roll

if TYPE_CHECKING:
    from .api import ClusterNode, ControlPlane, EtcdMember, EtcdQuorum
    from .drain import Drain
    from .places import Place

__all__ = [
    "NOBODY_ASKED",
    "ClusterNode",
    "ControlPlane",
    "Drain",
    "EtcdMember",
    "EtcdQuorum",
    "Living",
    "Place",
    "Readiness",
    "Roll",
    "ask_readiness",
    "control_plane",
    "hint",
    "leaders",
    "look",
    "node_of",
]


_ASKING = {
    **dict.fromkeys(("ClusterNode", "ControlPlane", "EtcdMember", "EtcdQuorum"), "api"),
    "Drain": "drain",
    "Place": "places",
}
"""What only a run that asks a living cluster loads, the HTTPS client with it, and the module of each."""


def __getattr__(name: str) -> Any:
    if name in _ASKING:
        return getattr(import_module(f".{_ASKING[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
