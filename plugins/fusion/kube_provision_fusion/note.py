"""The note that lies in a machine's folder from before the machine is made until its folder goes.

It tells what a .vmx cannot: that a machine is only half there, and that its secrets are to stay away although a running
machine writes its .vmx anew when it stops.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kube_provision_core import Stamp, replace_file, telling_os_errors

FILE = "kube-provision.json"


@dataclass(frozen=True)
class Note:
    name: str
    """Of the machine: a copied folder does not take over what its original is."""
    stamp: Stamp
    complete: bool
    """False while the machine is made, and while it is deleted."""
    scrubbed: bool = False
    disks: tuple[str, ...] | None = None
    """Names of those that it was made with, in its folder; None while it is made, and where nobody noted them."""


def read(folder: Path) -> Note | None:
    """None where there is none, or none of ours."""
    try:
        fields = json.loads((folder / FILE).read_bytes())
        stamp = Stamp.of(fields.pop("stamp"))
        if stamp is None:
            return None
        disks = fields.pop("disks", None)
        made_with = None if disks is None else tuple(map(str, disks))
        note = Note(**fields, stamp=stamp, disks=made_with)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return note if folder.name.removesuffix(".vmwarevm") == note.name else None


def write(folder: Path, note: Note) -> None:
    with telling_os_errors(f"{folder}: cannot be written"):
        replace_file(folder / FILE, json.dumps(asdict(note), sort_keys=True).encode() + b"\n")
