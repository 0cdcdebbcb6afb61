"""Which properties tell whose a machine is."""

from __future__ import annotations

from typing import Any

from .. import stamp


def option_path(key: str) -> str:
    """The property path of a single key of extraConfig: the whole of it holds the boot data and is long."""
    return f'config.extraConfig["{key}"]'


def option_text(option: Any) -> str | None:
    """An option, or its bare value, as the server likes to answer such a path."""
    value = getattr(option, "value", option)
    return str(value) if value is not None and value != "" else None


TEMPLATE = "config.template"
"""Not set while vCenter is still making the machine."""

STAMP = option_path(stamp.STAMP)
IDENTITY = ("name", "parent", TEMPLATE, STAMP)
