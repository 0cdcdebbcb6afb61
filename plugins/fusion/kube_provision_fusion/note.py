"""The note that lies in a machine's folder from before the machine is made until its folder goes.

It tells what a .vmx cannot: that a machine is only half there, and that its secrets are to stay away although a running
machine writes its .vmx anew when it stops.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kube_provision_core import Role, Stamp, replace_file, telling_os_errors

FILE = "kube-provision.json"


@dataclass(frozen=True)
class Note:
    name: str
    """Of the machine: a copied folder does not take over what its original is."""
    stamp: Stamp
    complete: bool
    """False while the machine is made, and while it is deleted."""
    scrubbed: bool = False


def read(folder: Path) -> Note | None:
    """None where there is none, or none of ours."""
    try:
        fields = json.loads((folder / FILE).read_bytes())
        stamp = fields.pop("stamp")
        note = Note(**fields, stamp=Stamp(**{**stamp, "role": Role(stamp["role"])}))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return note if folder.name.removesuffix(".vmwarevm") == note.name else None


def write(folder: Path, note: Note) -> None:
    with telling_os_errors(f"{folder}: cannot be written"):
        replace_file(folder / FILE, json.dumps(asdict(note), sort_keys=True).encode() + b"\n")
