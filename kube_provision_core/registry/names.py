"""Plugins that this distribution knows by name. They are data, `names.json`: no code of the core names a driver."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


def default(kind: str) -> str:
    """The driver that is meant where a configuration names none."""
    name: str = _names()["default"][kind]
    return name


def bringing(kind: str, name: str) -> str | None:
    """The distribution of ours that brings a driver of that name; None where there is none: of others nobody can tell."""
    distribution: str | None = _names()["distribution"].get(kind, {}).get(name)
    return distribution


@cache
def _names() -> dict[str, Any]:
    names: dict[str, Any] = json.loads(Path(__file__).with_name("names.json").read_bytes())
    return names
