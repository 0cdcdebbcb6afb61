"""What is done or looked at again and again, and changes no machine: a backup, the ends of certificates, drift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .plans import shown
from .words import configuration_faults, no_cluster

SOON = 30
"""Days before a certificate ends from which on it is told, as `kube-provision status` does."""

_LINES = 200
"""How many of them travel."""


class Kind(StrEnum):
    """What it is."""

    BACKUP = "backup"
    CERTIFICATES = "certificates"
    DRIFT = "drift"


@dataclass(frozen=True)
class Report:
    """One of a cluster."""

    kind: Kind
    cluster: str
    config: list[str] = field(default_factory=list)
    """As a run's."""


@dataclass(frozen=True)
class Backups:
    """Where a worker's backups go, and for whom: whoever may start workflows says neither."""

    place: str
    """A folder or its URL, as `kube-provision backup --keep` takes it."""
    recipients_file: str
    keep: int

    @property
    def command(self) -> list[str]:
        return ["backup", self.place, "--keep", str(self.keep), "--recipients-file", self.recipients_file]


@dataclass(frozen=True)
class Told:
    """What was found."""

    cluster: str
    lines: list[str] = field(default_factory=list)
    attention: bool = False
    """Somebody should look at it."""


def faults(report: Report) -> list[str]:
    """What is wrong with it, a line each."""
    return [*no_cluster(report.cluster), *configuration_faults(report.config)]


def command(report: Report, backups: Backups | None) -> list[str]:
    """Words for `kube-provision`, but for those that name the cluster; none for a backup that this worker does not make."""
    match report.kind:
        case Kind.BACKUP:
            return backups.command if backups else []
        case Kind.CERTIFICATES:
            return ["certificates"]
        case Kind.DRIFT:
            return ["status"]


def told(report: Report, said: dict[str, Any]) -> Told:
    """What the program's JSON says, for people."""
    if report.kind is Kind.BACKUP:
        lines = [f"{said['file']}: {said['size']} bytes of etcd at revision {said['revision']}"]
        return Told(report.cluster, shown(lines))
    found = shown(_ending(said) if report.kind is Kind.CERTIFICATES else _drifted(said))
    more = [f"and {len(found) - _LINES} more"] if len(found) > _LINES else []
    return Told(report.cluster, [*found[:_LINES], *more], bool(found))


def _ending(said: dict[str, Any]) -> Iterator[str]:
    """Of a machine that nobody could ask, one line; of others there are always some that only their files tell."""
    rows = said["certificates"]
    told_of = {it["machine"] for it in rows if it["days"] is not None}
    silent = {it["machine"]: it["text"] for it in reversed(rows) if it["machine"] not in told_of}
    yield from (
        f"{it['machine'] or 'folder'}: {it['certificate']} ends in {it['days']} days, at {it['ends']}"
        for it in rows
        if it["days"] is not None and it["days"] <= SOON
    )
    yield from (f"{machine or 'folder'}: {text}" for machine, text in sorted(silent.items()))


def _drifted(said: dict[str, Any]) -> Iterator[str]:
    for it in said["nodes"]:
        if it["power"] == "missing":
            yield f"{it['name']}: is missing"
        elif it["drifted"]:
            yield f"{it['name']}: was made from another configuration"
    yield from said["hints"]
