"""The shell scripts of families, as they lie in their folders."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

from ..contract.shell import shell_arrays


@cache
def text(path: str) -> str:
    """A file, by its path below this room."""
    return (resources.files(__package__) / path).read_text()


def script(path: str, **lists: Iterable[str]) -> str:
    """A script, with shell arrays set for it."""
    return f"{shell_arrays(**lists)}\n{text(path)}"
