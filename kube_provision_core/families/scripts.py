"""The shell scripts of families, as they lie in their folders."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources

from ..contract.shell import shell_arrays

_COMMENT = re.compile(r"^ *# (?!shellcheck ).*\n", re.MULTILINE)


@cache
def text(path: str) -> str:
    """A file, by its path below this room. As programs of ours, a script travels without its comments."""
    content = (resources.files(__package__) / path).read_text()
    return _COMMENT.sub("", content) if path.endswith(".sh") else content


def script(path: str, **lists: Iterable[str]) -> str:
    """A script, with shell arrays set for it."""
    return f"{shell_arrays(**lists)}\n{text(path)}"
