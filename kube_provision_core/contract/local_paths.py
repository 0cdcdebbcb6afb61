"""Types for keys that name something on the operator's own machine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from .errors import ConfigError
from .home import home

FOLDERS = "folders"
"""Validation context: folder by key, for keys whose value stands in a file."""
FOLDER = "folder"
"""Validation context: the folder of the key that is being validated."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""As a `Path` has it, of two slashes one. A letter alone would be a drive."""


def enter_key(info: ValidationInfo) -> None:
    """From here on, relative paths are those of the file in which this key stands."""
    context: dict[str, Any] | None = info.context
    if context is not None:
        folders: Mapping[str, Path] = context.get(FOLDERS, {})
        context[FOLDER] = folders.get(info.field_name or "", Path())


def named(path: object) -> object:
    """Raise ValueError for an empty text, which else would be the folder that relative paths start at."""
    if path == "":
        raise ValueError("is empty: name a file or folder of this machine")
    return path


def resolve(path: Path, info: ValidationInfo) -> Path:
    """The absolute path. Relative ones start at the folder of the file they stand in, else at the working directory."""
    if _URL.match(str(path)):  # not quoted: it may hold a password
        raise ValueError("is a URL, and a file or folder of this machine is wanted")
    try:
        path = home(os.environ).joinpath(*path.parts[1:]) if path.parts[:1] == ("~",) else path.expanduser()
    except (ConfigError, RuntimeError) as error:
        raise ValueError("names a home folder that does not exist") from error
    folder: Path = (info.context or {}).get(FOLDER, Path())
    return (folder / path).absolute()


def readable(path: Path) -> Path:
    """Raise ValueError unless `path` is a file that can be read."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:  # a text that is no path at all may be a long one, and somebody's secret
        raise ValueError(f"names no file that can be read: {getattr(error, 'strerror', None) or error}") from error
    if not path.is_file():
        raise ValueError(f"{path} is not a file")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{path} cannot be read: permission denied")
    return path


LocalPath = Annotated[Path, BeforeValidator(named), AfterValidator(resolve)]
"""A path on the operator's machine, made absolute; it need not exist."""

LocalFile = Annotated[Path, BeforeValidator(named), AfterValidator(resolve), AfterValidator(readable)]
"""A file on the operator's machine, made absolute; it exists and can be read."""
