"""Everything that is wrong with a run's input, each with its place, told together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..contract.errors import ConfigError
from .spelling import meant

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Place:
    """Where a value was given: a line of a file, a flag, an `-e`, a variable of the environment."""

    label: str
    line: int | None = None

    def __str__(self) -> str:
        return self.label if self.line is None else f"{self.label}:{self.line}"


class Problems:
    """Collects problems. The same one found twice, for two roles say, is one."""

    def __init__(self) -> None:
        self._found: dict[tuple[Place | None, str], None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, place: Place | None, text: str) -> None:
        self._found[place, " ".join(text.split())] = None

    def raise_if_any(self) -> None:
        """Raise `ConfigError`: problems in files by file and line, then the others."""
        if self._found:
            raise ConfigError(*(f"{place}: {text}" if place else text for place, text in sorted(self._found, key=_order)))


def _order(problem: tuple[Place | None, str]) -> tuple[bool, bool, str, int, str]:
    place, text = problem
    if place is None:
        return (True, True, "", 0, text)
    return (False, place.line is None, place.label, place.line or 0, text)


def show_key(key: str, known: Iterable[str] = (), secret: Iterable[str] = ()) -> str:
    """A key as it may be shown. A value may have run into its key, a secret even: then the known part alone is shown."""
    if _WORD.fullmatch(key) and not any(key.startswith(name) and key != name for name in secret):
        return key
    return max((name for name in known if key.startswith(name)), key=len, default="") + "…"


def unknown_key(key: str, known: Iterable[str], *, secret: Iterable[str] = (), within: str = "") -> str:
    """The line for a key that nobody knows, in the document or in a part of it. `secret` are the keys of secrets."""
    names = list(known)
    shown = show_key(key, names, secret)
    where = f" in {within}" if within else ""
    if shown != key:
        return f"unknown key {shown}{where} (is there a space after its colon?)"
    near = meant(key, names)
    return f"unknown key {shown}{where}" + (f"; did you mean {near}?" if near else "")
