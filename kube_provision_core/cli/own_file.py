"""A file that a run leaves for others: known to be possible before the run, and no other one is ever replaced."""

from __future__ import annotations

from pathlib import Path

from ..contract.errors import ConfigError
from ..contract.kept_files import rehearse


def check(path: Path, mark: bytes, what: str) -> None:
    """Raise `ConfigError` where it could not be written now, or would take the place of something else.

    `mark`: what each of ours begins with. `what`: how people call it.
    """
    try:
        _check_replaceable(path, mark, what)
        rehearse(path)
    except OSError as error:
        raise ConfigError(f"{path}: the {what} cannot be written there: {error.strerror or error}") from error


def _check_replaceable(path: Path, mark: bytes, what: str) -> None:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ConfigError(f"{path}: is no plain file; name a new one for the {what}, or an earlier {what}")
    if path.exists():
        with path.open("rb") as file:
            if file.read(len(mark)) != mark:
                raise ConfigError(f"{path}: is no {what} of ours, and is not replaced; name another file")
