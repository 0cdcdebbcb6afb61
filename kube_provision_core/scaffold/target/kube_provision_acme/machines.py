"""Machines that are folders: put the calls of your hypervisor in place of this.

A folder that has a `machine.json` with a stamp is a machine of ours; any other folder is a machine of somebody else's.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Machines:
    """All machines. Several processes may look at one folder: whoever changes it, holds its lock."""

    folder: Path

    @contextmanager
    def lock(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def names(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith("."))

    def read(self, name: str) -> dict[str, Any] | None:
        """What is known of a machine; None if there is none, and nothing of it if it is somebody else's."""
        try:
            known: dict[str, Any] = json.loads((self.folder / name / "machine.json").read_text())
        except FileNotFoundError:
            return {} if (self.folder / name).is_dir() else None
        return known

    def create(self, name: str, stamp: dict[str, Any], user_data: str, network: IPv4Network) -> None:
        """Whole or not at all: a creation that fails leaves nothing that bears the name."""
        part = self.folder / f".{name}-{uuid.uuid4()}"
        known = {"id": str(uuid.uuid4()), "power": "off", "stamp": stamp, "address": self._free_address(network)}
        try:
            part.mkdir()
            (part / "user-data").write_text(user_data)
            (part / "machine.json").write_text(json.dumps(known))
            part.rename(self.folder / name)
        except OSError:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def update(self, name: str, **changes: Any) -> None:
        known = (self.read(name) or {}) | changes
        part = self.folder / name / ".machine.json"
        part.write_text(json.dumps(known))
        part.replace(self.folder / name / "machine.json")

    def replace_user_data(self, name: str, user_data: str) -> None:
        (self.folder / name / "user-data").write_text(user_data)

    def published(self, name: str) -> str | None:
        """What the machine has said last about itself; it may be anything."""
        path = self.folder / name / "status"
        return path.read_text(errors="replace") if path.exists() else None

    def delete(self, name: str) -> None:
        part = self.folder / f".{name}-{uuid.uuid4()}"
        (self.folder / name).rename(part)
        shutil.rmtree(part)

    def _free_address(self, network: IPv4Network) -> str:
        taken = {(self.read(name) or {}).get("address") for name in self.names()}
        return next(address for address in map(str, network.hosts()) if address not in taken)
