"""A backup, kept somewhere: written whole or not at all, and read back before it counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ..contract.errors import BackupError
from ..contract.kept_files import UNFINISHED
from .contents import About, End
from .keys import Recipients, passing
from .places import Place
from .reader import check_backup
from .writer import SnapshotStream, write_backup

_STAMP = "%Y%m%dT%H%M%SZ"
_STAMPED = r"(\d{8}T\d{6}Z)\.age"

ABANDONED = timedelta(days=1)
"""Age of what a killed run had begun to write, and nobody goes on with."""


def keep(place: Place, recipients: Recipients, about: About, files: Mapping[str, bytes], snapshot: SnapshotStream) -> End:
    """Write one there, of which nobody sees a part. Raises `BackupError`, and what the snapshot raises.

    It is read back to its end, with a key that is made for that and lives no longer than this call.
    """
    name, keys = passing()
    with place.replaced_when_done() as beside:
        with beside.create() as sink:
            end = write_backup(sink, replace(recipients, names=(*recipients.names, name)), about, files, snapshot)
        with beside.open() as source:
            if check_backup(source, keys).end != end:
                raise BackupError(f"{place.text}: what was written there is not what is read there")
    return end


def file_name(about: About) -> str:
    """In a folder of many."""
    return f"{_of_cluster(about)}{about.created.astimezone(UTC):{_STAMP}}.age"


def clear(folder: Place, about: About, count: int) -> tuple[str, ...]:
    """Delete what killed runs have left, and the cluster's backups but this one and the newest others: `count` stay in all.

    Whatever is not named as `file_name` names it is not touched. Returns the names of the backups.
    """
    names, cluster = folder.names(), re.escape(_of_cluster(about))
    others = sorted(name for name in names if re.fullmatch(rf"{cluster}{_STAMPED}", name) and name != file_name(about))
    old = tuple(others[: max(len(others) - (count - 1), 0)])
    unfinished = re.compile(rf"{re.escape(UNFINISHED)}{cluster}{_STAMPED}\.\w+")
    begun = {name: found.group(1) for name in names if (found := unfinished.fullmatch(name))}
    for name in (*old, *(name for name, stamp in begun.items() if about.created - _time(stamp) > ABANDONED)):
        folder.delete(name)
    return old


def _of_cluster(about: About) -> str:
    """Another cluster may bear the same name: at another site, or one that is gone since."""
    return f"{about.cluster}-{about.cluster_id[:8]}-"


def _time(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:  # the thirteenth month: none of ours
        return datetime.max.replace(tzinfo=UTC)
