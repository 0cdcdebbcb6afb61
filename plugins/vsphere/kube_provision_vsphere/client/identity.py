"""Which properties tell whose a machine is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import stamp
from .read import walk
from .vmomi import managed_id


def option_path(key: str) -> str:
    """The property path of a single key of extraConfig: the whole of it holds the boot data and is long."""
    return f'config.extraConfig["{key}"]'


def option_text(option: Any) -> str | None:
    """An option, or its bare value, as the server likes to answer such a path."""
    value = getattr(option, "value", option)
    return str(value) if value is not None and value != "" else None


TEMPLATE = "config.template"
"""Not set while vCenter is still making the machine."""

STAMP, NOTED_INSTANCE = option_path(stamp.STAMP), option_path(stamp.INSTANCE)
INSTANCE = "config.instanceUuid"
IDENTITY = ("name", "parent", "parentVApp", TEMPLATE, STAMP, INSTANCE, NOTED_INSTANCE)
"""A machine in a vApp has no parent."""


def is_copy(values: Mapping[str, Any]) -> bool:
    """Whether what it notes of itself was written for another machine."""
    noted, own = option_text(values.get(NOTED_INSTANCE)), values.get(INSTANCE)
    return noted is not None and own is not None and noted.lower() != str(own).lower()


def parent_of(values: Mapping[str, Any]) -> str | None:
    parent = values.get("parent") or values.get("parentVApp")
    return managed_id(parent) if parent is not None else None


def walk_machines() -> list[Any]:
    """From a folder to all machines below it. Those in a vApp stand in no folder, but the vApp does."""
    return [
        walk("machines", "Folder", "childEntity", "machines", "members", "inner"),
        walk("members", "VirtualApp", "vm"),
        walk("inner", "VirtualApp", "resourcePool", "members", "inner"),
    ]
