"""A user's document under ours: what both say we say, and lists hold what either has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def laid_under(user: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Ours comes first. In lists of named things, such as arguments, a user's one of a name of ours is left out."""
    return {
        **{key: _both(user[key], value) if key in user else value for key, value in ours.items()},
        **{key: value for key, value in user.items() if key not in ours},
    }


def _both(user: Any, ours: Any) -> Any:
    if isinstance(user, Mapping) and isinstance(ours, Mapping):
        return laid_under(user, ours)
    if isinstance(user, list) and isinstance(ours, list):
        known = [_identity(item) for item in ours]
        return [*ours, *(item for item in user if _identity(item) not in known)]
    return ours


def _identity(item: Any) -> Any:
    return item.get("name", item) if isinstance(item, Mapping) else item
