"""One file with many: a tar archive, packed by Zstandard; written whole or not at all."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import zstandard

from . import new_file

_LEVEL = 10
"""Of 22: half as large as by 3, which is the default, and done within a second still."""


def write(path: Path, folder: str, files: Mapping[str, str], when: float) -> int:
    """The files by their paths below `folder`, as of `when` (seconds since the epoch), 0600. Returns its size in bytes.

    Raises `ConfigError`, also where there is something by then.
    """
    content = zstandard.ZstdCompressor(level=_LEVEL).compress(_packed(folder, files, when))
    new_file.write(path, content)
    return len(content)


def _packed(folder: str, files: Mapping[str, str], when: float) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in files.items():
            content = text.encode(errors="backslashreplace")
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mtime, member.mode = len(content), int(when), 0o600
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
