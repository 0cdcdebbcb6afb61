"""What a node bears that we have cordoned: that it was us, and what for. Whoever looks can tell, also when no run lives."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

CORDONED = "kube-provision/cordoned"
"""Annotation of a node that we have cordoned, and may uncordon: of any other one somebody else does not want it used."""


class Purpose(StrEnum):
    """What is to become of the node once it is empty: the annotation's value."""

    REMOVED = "removed"
    REPLACED = "replaced"
    UPGRADED = "upgraded"


def is_ours(node: Mapping[str, Any]) -> bool:
    """Whether we have cordoned a node, as the API shows it."""
    return CORDONED in _annotations(node)


def purpose(node: Mapping[str, Any]) -> Purpose | None:
    """None where that is not told: earlier versions did not, and anybody may have written anything."""
    told = _annotations(node).get(CORDONED)
    return Purpose(told) if told in list(Purpose) else None


def _annotations(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return node.get("metadata", {}).get("annotations") or {}
