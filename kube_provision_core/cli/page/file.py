"""Where the page goes: known to be possible before the run, and written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from ...contract.errors import ConfigError
from ...contract.kept_files import rehearse, replace_file

MARK = b"<!doctype html>\n<!-- A run of kube-provision -->\n"
"""What a page begins with: a file that begins otherwise is somebody else's, and is not replaced."""


def check(path: Path) -> None:
    """Raise `ConfigError` where a page could not be written now, or would take the place of something else."""
    try:
        _check_replaceable(path)
        rehearse(path)
    except OSError as error:
        raise ConfigError(f"{path}: the report cannot be written there: {error.strerror or error}") from error


def write(path: Path, page: str) -> None:
    """In the place of an earlier one, in one step, 0600. Raises OSError."""
    replace_file(path, page.encode())


def _check_replaceable(path: Path) -> None:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ConfigError(f"{path}: is no plain file; name a new one for the report, or an earlier report")
    if path.exists():
        with path.open("rb") as file:
            if file.read(len(MARK)) != MARK:
                raise ConfigError(f"{path}: is no report of ours, and is not replaced; name another file")
