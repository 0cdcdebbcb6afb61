"""What a value must be beside its type: said where the field is declared, looked at where a plugin answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True, slots=True)
class Rule:
    words: str
    """What it must be, as the end of a sentence."""
    holds: Callable[[Any], object]
    """Asked of values of the right type; the answer counts as true or false."""


StepName = Annotated[
    str, Rule("lower-case letters and digits, joined by hyphens", re.compile(r"[a-z0-9]+(-[a-z0-9]+)*").fullmatch)
]
StepPlace = Annotated[
    str, Rule("plugin/step, or */step", re.compile(r"((\*|[A-Za-z0-9._-]+)/[a-z0-9]+(-[a-z0-9]+)*)?").fullmatch)
]
UnitName = Annotated[
    str,
    Rule(
        "a systemd unit's name, such as acme.service",
        re.compile(r"[A-Za-z0-9:_.\\@-]+\.(service|socket|timer|path|mount|automount|target|slice|swap)").fullmatch,
    ),
]
Owner = Annotated[str, Rule("user:group", re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*:[A-Za-z_][A-Za-z0-9_.-]*").fullmatch)]
Mode = Annotated[int, Rule("permissions such as 0o644", range(1, 0o10000).__contains__)]
TaskDigest = Annotated[str, Rule("16 hex digits, or nothing where no task waits", re.compile(r"([0-9a-f]{16})?").fullmatch)]
Count = Annotated[int, Rule("1 or more", (0).__lt__)]
