"""Machines that are folders: put the calls of your hypervisor in place of this.

A folder that has a `machine.json` with a stamp is a machine of ours; any other folder is a machine of somebody else's. Boot
data holds secrets: whatever is written here, its owner alone can read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from kube_provision_core import UNFINISHED, replace_file, wait_for_lock

PATIENCE = 30.0
"""Seconds until another run that is at work on a machine is told of, and not waited for any longer."""


@dataclass(frozen=True)
class Machines:
    """All machines. Several processes may look at one folder: whoever changes a machine, holds its lock."""

    folder: Path

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """One for each machine, so that many can be made at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f".{name}.lock"
        with path.open("w") as file:
            wait_for_lock(file.fileno(), str(path), PATIENCE)
            yield

    def names(self) -> list[str]:
        """Of all folders. None are there before the first is made; any other trouble is trouble, not an empty list."""
        try:
            return sorted(path.name for path in self.folder.iterdir() if path.is_dir() and path.name[0] != ".")
        except FileNotFoundError:
            return []

    def read(self, name: str) -> dict[str, Any] | None:
        """What is known of a machine; None if there is none, and nothing of it if it is somebody else's."""
        try:
            known = json.loads((self.folder / name / "machine.json").read_text())
        except FileNotFoundError:
            return {} if (self.folder / name).is_dir() else None
        except ValueError:
            return {}
        return known if isinstance(known, dict) and isinstance(known.get("stamp"), dict) else {}

    def create(self, name: str, known: Mapping[str, Any], network: IPv4Network) -> None:
        """The stamp comes first, and in one step: whatever a killed run leaves half made is found by it."""
        part = self.folder / f"{UNFINISHED}{name}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        with self.lock("addresses"):
            addresses = [self._free_address(network)]
            replace_file(part / "machine.json", json.dumps({**known, "addresses": addresses, "power": "off"}).encode())
            part.rename(self.folder / name)

    def deliver(self, name: str, user_data: str, metadata: Mapping[str, str]) -> None:
        """With this the machine is complete. It may be done again until then."""
        replace_file(self.folder / name / "user-data", user_data.encode())
        replace_file(self.folder / name / "meta-data", json.dumps(metadata).encode())
        self.update(name, complete=True)

    def update(self, name: str, **changes: Any) -> None:
        known = (self.read(name) or {}) | changes
        replace_file(self.folder / name / "machine.json", json.dumps(known).encode())

    def replace_user_data(self, name: str, user_data: str) -> None:
        replace_file(self.folder / name / "user-data", user_data.encode())

    def put_task(self, name: str, task: bytes | None) -> None:
        """In one step: a machine that reads meanwhile finds the earlier one, or this one."""
        path = self.folder / name / "task"
        if task is None:
            path.unlink(missing_ok=True)
        else:
            replace_file(path, task)

    def task(self, name: str) -> bytes:
        """What waits for the machine; nothing where none does."""
        path = self.folder / name / "task"
        return path.read_bytes() if path.exists() else b""

    def published(self, name: str) -> str | None:
        """What the machine has said last about itself; it may be anything."""
        path = self.folder / name / "status"
        return path.read_text(errors="replace") if path.exists() else None

    def delete(self, name: str) -> None:
        """In one step, too: what a killed run leaves has another name, and goes with the next machine of this one."""
        part = self.folder / f"{UNFINISHED}{name}"
        shutil.rmtree(part, ignore_errors=True)
        (self.folder / name).rename(part)
        shutil.rmtree(part)

    def _free_address(self, network: IPv4Network) -> str:
        taken = {address for name in self.names() for address in (self.read(name) or {}).get("addresses", ())}
        _router, *hosts = map(str, network.hosts())
        return next(address for address in hosts if address not in taken)
