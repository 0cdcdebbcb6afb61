"""What goes into a shell script is quoted, always."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


def shell_arrays(**lists: Iterable[str]) -> str:
    """Lines of bash that set an array for each list, to stand before a script that uses them: `names=(a 'b c')`."""
    return "".join(f"{name}=({' '.join(map(shlex.quote, items))})\n" for name, items in lists.items())
