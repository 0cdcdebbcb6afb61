"""config.yml + flags + environment → Config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..registry import ChosenDriver
from .composed import Config
from .loading import load

if TYPE_CHECKING:
    from .json_schema import schema
    from .markdown import reference

__all__ = ["ChosenDriver", "Config", "load", "reference", "schema"]


def __getattr__(name: str) -> Any:
    """Import the two that no run needs only when they are asked for."""
    if name == "schema":
        from .json_schema import schema

        return schema
    if name == "reference":
        from .markdown import reference

        return reference
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
