"""Where the page goes: known to be possible before the run, and written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from ...contract.kept_files import replace_file
from .. import own_file

MARK = b"<!doctype html>\n<!-- A run of kube-provision -->\n"
"""What a page begins with: a file that begins otherwise is somebody else's, and is not replaced."""


def check(path: Path) -> None:
    """Raise `ConfigError` where a page could not be written now, or would take the place of something else."""
    own_file.check(path, MARK, "report")


def write(path: Path, page: str) -> None:
    """In the place of an earlier one, in one step, 0600. Raises OSError."""
    replace_file(path, page.encode())
