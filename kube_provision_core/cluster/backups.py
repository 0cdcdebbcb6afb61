"""What a living cluster says of its last backup: a ConfigMap, written once that backup had been read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .answers import CONFIG_MAPS, Calls, find, put
from .kubeadm_objects import NAMESPACE

NAME = "kube-provision-backup"

_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class LastBackup:
    created: datetime
    revision: int
    """Of etcd."""
    size: int
    """Bytes of etcd's snapshot."""
    file: str
    """Its name, without where it lies."""

    def within(self, age: timedelta, now: datetime) -> bool:
        """It is no older. One of the future was dated by a clock that was wrong, and says nothing."""
        return timedelta(minutes=-5) <= now - self.created <= age


class BackupCalls(Calls):
    def last(self) -> LastBackup | None:
        """None where none was made, or somebody has written something else there."""
        return _read(find(self._client, f"{CONFIG_MAPS}/{NAME}", "does not tell of its last backup").get("data") or {})

    def record(self, backup: LastBackup) -> None:
        """That it was made, and can be read. Replaces what is said of an earlier one."""
        put(self._client, CONFIG_MAPS, _written(backup))


def _written(backup: LastBackup) -> dict[str, Any]:
    data = {
        "created": f"{backup.created.astimezone(UTC):{_TIME}}",
        "revision": str(backup.revision),
        "size": str(backup.size),
        "file": backup.file,
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": NAMESPACE}, "data": data}


def _read(data: Mapping[str, str]) -> LastBackup | None:
    try:
        created = datetime.strptime(data["created"], _TIME).replace(tzinfo=UTC)
        return LastBackup(created, int(data["revision"]), int(data["size"]), str(data["file"]))
    except (LookupError, TypeError, ValueError):
        return None
