"""The machine that bakes: a full clone of the source that boots once, and what is left of it as a template."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from kube_provision_core import Baked, Image, telling_os_errors

from .. import settings, stamp, vmx


def prepare(file: Path, name: str, image: Image, taken: Collection[str]) -> None:
    """Before its first start. `taken` are hardware addresses that others bear."""
    clone = vmx.read(file)
    changes = settings.of_clone(clone, f"{name}.baking", image.machine, image.boot, taken)
    vmx.write(file, clone.changed({**changes, "annotation": f"kube-provision: becomes the template {name}"}))


def describe(file: Path, name: str, baked: Baked, source: str) -> None:
    """Make the machine, which is off, a template: without boot data, and with what is in it.

    Clones of a template that kept its status would seem to have finished their boot before it begins.
    """
    machine = vmx.read(file)
    changes = {
        **dict.fromkeys(settings.forgotten(machine)),
        "displayName": name,
        "annotation": f"kube-provision: baked {baked.summary}\nfrom {source}",
        stamp.BAKED: json.dumps(baked.document, sort_keys=True),
    }
    vmx.write(file, machine.changed(changes))
    with telling_os_errors(f"{file.parent}: its logs cannot be deleted"):
        for left in (*file.parent.glob("*.log"), file.with_name(f"{file.name}~")):  # VMware logs the boot data
            left.unlink(missing_ok=True)
