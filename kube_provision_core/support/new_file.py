"""A file of a user's, which replaces nothing: written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from ..contract.errors import ConfigError
from ..contract.kept_files import rehearse_new, write_new


def check(path: Path) -> None:
    """Raise `ConfigError` where it could not be written now, or where there is something already."""
    try:
        if path.is_symlink() or path.exists():
            raise _taken(path)
        rehearse_new(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written there: {error.strerror or error}") from error


def write(path: Path, content: bytes) -> None:
    """0600. Raises `ConfigError`, also where there is something by then."""
    try:
        write_new(path, content)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error


def _taken(path: Path) -> ConfigError:
    return ConfigError(f"{path}: exists already, and is not replaced; name a new file")
