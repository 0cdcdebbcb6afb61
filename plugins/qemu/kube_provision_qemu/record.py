"""What a machine is: written in one step when it is made, and for good but for its stamp, which is in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kube_provision_core import Stamp, replace_file

from .places import RECORD
from .template import Fingerprint

FORMAT = 1

_LARGEST = 64 * 1024


@dataclass(frozen=True)
class Record:
    name: str
    uuid: str
    """By which its QEMU process is known, and the guest's product uuid."""
    stamp: Stamp
    address: str
    mac: str
    cpu: int
    memory_gib: int
    template: Path
    """The disk that its own is an overlay on."""
    fingerprint: Fingerprint
    """Of the template when the overlay was made."""
    ports: tuple[int, ...]
    """TCP ports of it that this host reaches by ports of its own."""
    has_data_disk: bool = False


def write(folder: Path, record: Record) -> None:
    fields = asdict(record) | {"template": str(record.template)}
    replace_file(folder / RECORD, json.dumps({"format": FORMAT, **fields}, indent=1).encode() + b"\n")


def read(folder: Path) -> Record | None:
    """The record of the machine in that folder; None where there is none of ours: the folder is somebody else's."""
    try:
        with (folder / RECORD).open("rb") as file:
            return _parse(json.loads(file.read(_LARGEST)), folder.name)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _parse(said: dict[str, object], name: str) -> Record:
    """Raises ValueError, TypeError or KeyError for what `write` has not written, or has written for another folder."""
    fields = dict(said)
    if fields.pop("format") != FORMAT or fields["name"] != name:
        raise ValueError("another format or another machine")
    stamp, fingerprint = Stamp.of(fields.pop("stamp")), fields.pop("fingerprint")
    template, ports = fields.pop("template"), fields.pop("ports")
    if not (stamp and isinstance(fingerprint, dict) and isinstance(ports, list)):
        raise TypeError("not a record")
    return Record(
        stamp=stamp,
        fingerprint=Fingerprint.parse(fingerprint),
        template=Path(str(template)),
        ports=tuple(map(int, ports)),
        **fields,  # type: ignore[arg-type]  # unknown or missing keys raise TypeError; who can write here could start QEMU anyway
    )
