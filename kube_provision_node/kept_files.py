"""Files that are kept: replaced in one step, so that a power cut leaves the old one or the new one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def replace_file(path: Path, content: str | bytes, mode: int = 0o600, owner: str = "", beside: Path | None = None) -> None:
    """Never readable by others before it is whole and has its mode. Raises `OSError`, and `LookupError` for an `owner`
    (`user:group`) whom nobody knows.

    `beside` is where it is made, on the same file system: next to `path`, unless others look into that folder. Whatever is
    there already is not written to: it may be somebody else's, or lead elsewhere.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = beside or path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        if owner:
            shutil.chown(file.fileno(), *owner.split(":"))
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
