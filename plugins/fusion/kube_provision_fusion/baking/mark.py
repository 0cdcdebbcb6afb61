"""The mark that lies in a version's folder from before its machine is made until it is the template.

It tells what a .vmx cannot: that a machine is only half there, and what one has said that it holds, which VMware forgets
when the machine is powered off.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kube_provision_core import Baked, replace_file, telling_os_errors

from .. import note


@dataclass(frozen=True)
class Mark:
    spec: str
    """`Image.spec` of what the machine was given."""
    complete: bool
    """False while it is made."""
    baked: Baked | None = None
    """Set once it is being made the template."""


def read(folder: Path) -> Mark | None:
    """None where there is none; a copied folder does not take over what its original is."""
    try:
        fields = json.loads((folder / note.FILE).read_bytes())
        if fields["bakes"] != folder.name:
            return None
        return Mark(str(fields["spec"]), fields["complete"] is True, Baked.parse(fields["baked"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write(folder: Path, mark: Mark) -> None:
    baked = mark.baked.document if mark.baked else None
    fields = {"bakes": folder.name, "spec": mark.spec, "complete": mark.complete, "baked": baked}
    with telling_os_errors(f"{folder}: cannot be written"):
        replace_file(folder / note.FILE, json.dumps(fields, sort_keys=True).encode() + b"\n")


def remove(folder: Path) -> None:
    with telling_os_errors(f"{folder}: cannot be written"):
        (folder / note.FILE).unlink(missing_ok=True)
