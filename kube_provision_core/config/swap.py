"""Whether machines of a role swap: not at all, as their template has it, or into a file besides."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from .script import MAX_DISK_GIB

SYSTEM_GIB = 2
"""What a template holds at least."""

ROOM_GIB = 4
"""What a system needs of its boot disk besides: packages, images, and what a kubelet wants free before it evicts."""


def _read(value: object) -> bool | int:
    """In a document, on a command line and in a variable alike; 1 is a size, and `yes` is neither."""
    text = str(value)
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch("[1-9][0-9]*", text) and len(text) <= len(str(MAX_DISK_GIB)) and int(text) <= MAX_DISK_GIB:
        return int(text)
    raise ValueError(f"must be true, false, or the size of a swap file in whole GiB, 1 to {MAX_DISK_GIB}")


_AS_WRITTEN = [{"enum": [True, False, "true", "false"]}, {"type": "integer", "minimum": 1, "maximum": MAX_DISK_GIB}]

Swap = Annotated[bool | int, BeforeValidator(_read), WithJsonSchema({"anyOf": _AS_WRITTEN})]


def file_gib(swap: bool | int) -> int:
    """Size of the file that is to be made; 0: none."""
    return 0 if isinstance(swap, bool) else swap
