"""A system's own archive, as mirrors have it."""

from __future__ import annotations

from dataclasses import dataclass

CODENAME = "@CODENAME@"
"""In the name of a suite: the release's codename, which the machine knows."""


@dataclass(frozen=True)
class Archive:
    """One of the trees of packages that a system's own archive consists of, as a mirror has it."""

    suites: tuple[str, ...]
    """Their names; `CODENAME` in them is the release's."""
    beside: str = ""
    """Put at the end of the first tree's URL, it names this one."""
