"""Reads the user's own files for delivery."""

from __future__ import annotations

from pathlib import Path

from ..contract.errors import BootError


def read(path: Path, key: str) -> bytes:
    """Raises `BootError` that names the configuration's key. The file was there when the configuration was loaded."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BootError(f"{key}: {path}: cannot be read: {error.strerror or type(error).__name__}") from error


def read_text(path: Path, key: str) -> str:
    try:
        return read(path, key).decode()
    except UnicodeDecodeError as error:
        raise BootError(f"{key}: {path}: is not UTF-8 text (byte {error.start})") from error
