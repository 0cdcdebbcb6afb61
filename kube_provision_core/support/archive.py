"""One file with many: a tar archive, packed by Zstandard; written whole or not at all."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import zstandard

from ..contract.errors import ConfigError
from ..contract.kept_files import rehearse_new, write_new

_LEVEL = 10
"""Of 22: half as large as by 3, which is the default, and done within a second still."""


def check(path: Path) -> None:
    """Raise `ConfigError` where it could not be written now, or where there is something already."""
    try:
        if path.is_symlink() or path.exists():
            raise _taken(path)
        rehearse_new(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written there: {error.strerror or error}") from error


def write(path: Path, folder: str, files: Mapping[str, str], when: float) -> int:
    """The files by their paths below `folder`, as of `when` (seconds since the epoch), 0600. Returns its size in bytes.

    Raises `ConfigError`, also where there is something by then.
    """
    content = zstandard.ZstdCompressor(level=_LEVEL).compress(_packed(folder, files, when))
    try:
        write_new(path, content)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
    return len(content)


def _taken(path: Path) -> ConfigError:
    return ConfigError(f"{path}: exists already, and is not replaced; name a new file")


def _packed(folder: str, files: Mapping[str, str], when: float) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in files.items():
            content = text.encode(errors="backslashreplace")
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mtime, member.mode = len(content), int(when), 0o600
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
