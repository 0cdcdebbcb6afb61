"""The command line. Nothing is imported here that `--help` can do without."""

from __future__ import annotations

from .run import main

__all__ = ["main"]
