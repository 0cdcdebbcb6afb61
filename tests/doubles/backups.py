"""Backups as they are on a disk, of clusters that tests have made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyrage

from kube_provision_core.backup import About, Archive, Keys, Recipients
from kube_provision_core.backup.writer import write_backup
from kube_provision_core.folder.store import Folder


@dataclass
class Snapshot:
    """As it arrives from an etcd."""

    content: bytes
    revision: int = 42

    @property
    def size(self) -> int:
        return len(self.content)

    def __iter__(self) -> Iterator[bytes]:
        yield self.content


def back_up(
    folder: Folder,
    content: bytes,
    path: Path,
    version: str = "1.37.1",
    documents: Mapping[str, bytes] | None = None,
    addresses: tuple[str, ...] = (),
) -> Archive:
    """Write it to `path`, and a key that opens it beside; what comes of reading it."""
    key = pyrage.x25519.Identity.generate()
    path.with_suffix(".key").write_text(f"{key}\n")
    made = datetime(2026, 11, 29, tzinfo=UTC)
    about = About(folder.name, folder.cluster_id, version, "3.6.8", made, {}, tuple(documents or ()), addresses)
    files = [file for file in folder.path.rglob("*") if file.is_file() and file.name != "kubeconfig"]
    kept = {f"folder/{file.relative_to(folder.path)}": file.read_bytes() for file in files}
    kept |= {f"config/{name}": document for name, document in (documents or {}).items()}
    with path.open("wb") as sink:
        write_backup(sink, Recipients((str(key.to_public()),)), about, kept, Snapshot(content))
    return Archive.check(lambda: path.open("rb"), Keys.read([path.with_suffix(".key")]))
