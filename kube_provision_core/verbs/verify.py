"""Whether a backup is worth something: an etcd starts on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..backup import Archive


@dataclass(frozen=True)
class Verified:
    """A backup that was tried."""

    cluster: str
    cluster_id: str
    created: str
    """Such as `2026-11-29T08:30:00Z`."""
    kubernetes: str
    size: int
    """Bytes of etcd's snapshot."""
    revision: int
    objects: int
    """Of Kubernetes, that the etcd has found."""
    etcd: str
    """Version of the etcd that has started on it."""


def verify(archive: Archive) -> Verified:
    """Raises `BackupError` where none can be started on it, or where this host has none."""
    from ..backup import try_backup

    about, tried = archive.about, try_backup(archive)
    created = f"{about.created:%Y-%m-%dT%H:%M:%SZ}"
    return Verified(
        about.cluster,
        about.cluster_id,
        created,
        about.kubernetes,
        archive.end.size,
        tried.revision,
        tried.objects,
        tried.etcd,
    )
