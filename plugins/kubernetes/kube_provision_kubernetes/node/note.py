"""How far the machine is that may initialise the cluster, noted on its own disk: there is no API to write it to yet.

Runs on a node: standard library only, Python 3.9.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .api import UnavailableError

BEGUN = "initialising"
TELLING = "telling"
"""From before the first attempt to write the record: from then on others may have read it, and joined."""
TOLD = "told"


class Noted(NamedTuple):
    stage: str
    record: dict[str, str]


@dataclass(frozen=True)
class Note:
    path: Path

    def read(self) -> Noted | None:
        """None only if there is certainly none. Raises `UnavailableError`."""
        try:
            found: Any = json.loads(self.path.read_text())
            return Noted(found["stage"], dict(found["record"]))
        except FileNotFoundError:
            return None
        except (OSError, LookupError, TypeError, ValueError) as problem:
            raise UnavailableError(f"{self.path} is unreadable: {problem}") from problem

    def write(self, stage: str, record: dict[str, str]) -> None:
        """Whole, and on the disk when this returns: a power cut must not take it back. Raises `UnavailableError`."""
        part = self.path.with_name(f".{self.path.name}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("w") as file:
                file.write(json.dumps({"stage": stage, "record": record}))
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as problem:
            raise UnavailableError(f"{self.path} cannot be written: {problem}") from problem
