"""Flags that plugins bring for keys of their own: what their distributions say of them, before any of them is imported."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

_GROUP = "[kube_provision.flag]"
"""Entry points: the name is the key, a colon, and what `--help` says; the value is the class that has the key."""

_NAME = re.compile(r"([a-z][a-z0-9_]*):\s*(.+?)\s*=")


def brought() -> dict[str, str]:
    """What `--help` says of each, by the key that it sets; of two of one name the first counts.

    The files are read as they stand: to import `importlib.metadata` takes as long as all of `--help` may.
    """
    found: dict[str, str] = {}
    for text in _entry_points():
        for key, told in _of_group(text):
            found.setdefault(key, told)
    return found


def _entry_points() -> Iterator[str]:
    """Of every distribution in a folder of `sys.path`; what cannot be read brings no flags."""
    for folder in sys.path:
        try:
            names = sorted(os.listdir(folder or os.curdir))
        except OSError:
            continue
        for name in names:
            if name.endswith(".dist-info"):
                yield _read(os.path.join(folder, name, "entry_points.txt"))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _of_group(text: str) -> Iterator[tuple[str, str]]:
    section = text.partition(_GROUP)[2].partition("\n[")[0]
    for line in section.splitlines():
        if found := _NAME.match(line.strip()):
            yield found[1], found[2]
