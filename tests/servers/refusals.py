"""How stand-ins for the Kubernetes API refuse."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class RefusedError(Exception):
    """An answer that is no success, as the API gives it."""

    status: int
    message: str
    more: dict[str, Any] = field(default_factory=dict)
    """What else its document says."""
