"""The machine that is cloned, and the snapshot from which its linked clones start."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kube_provision_core import TargetError, replace_file, telling_os_errors

from . import disks, vmx
from .disks import Disk
from .vmrun import Vmrun
from .vmx import Vmx

_HARDWARE = re.compile(
    r"virtualhw\.version|guestos|firmware|(scsi|nvme|sata|ide|ethernet)\d+(:\d+)?\.(present|virtualdev|filename|connectiontype|vnet)"
)
"""Settings that a clone takes over from the snapshot and that nobody changes by running the template."""


@dataclass(frozen=True)
class Template:
    file: Path
    vmx: Vmx
    disks: tuple[Disk, ...]
    """The one that it boots from first."""

    def allocated(self) -> int:
        """Bytes that its disks take, and so does a full clone."""
        parts = (part for disk in self.disks for part in disk.file.parent.glob(f"{disk.file.stem}*.vmdk"))
        return sum(part.stat().st_blocks * 512 for part in parts)

    def state(self) -> str:
        """Another one means that the template was changed: its hardware, or what is on its disks.

        Clones only read the disks below a snapshot, and never those that the template itself writes to.
        """
        hardware = [(name, self.vmx.get(name)) for name in sorted(self.vmx.names()) if _HARDWARE.fullmatch(name)]
        parts = [part for disk in self.disks for part in disks.contents(disk.file)]
        with telling_os_errors(f"{self.file}: its disks cannot be read"):
            seen = [(part.name, status.st_size, status.st_mtime_ns) for part in parts if (status := part.stat())]
        return hashlib.sha256(json.dumps([hardware, seen]).encode()).hexdigest()


def real(file: Path) -> Path:
    """Where the template itself lies: what `bake` makes is reached through a link that leads to the newest version.

    VMware is told of no other place, for a clone remembers where its parent lay when it was made.
    """
    return Path(os.path.realpath(file))


def read(file: Path) -> Template:
    """Raises `TargetError` for one that cannot be read."""
    settings = vmx.read(file)
    return Template(file, settings, disks.disks(settings, file.parent))


def current_snapshot(vmrun: Vmrun, file: Path, holding: Sequence[int]) -> str:
    """The snapshot of the template's present state: the one that was taken last time, or one that is taken now.

    Call it with the template's folder locked, and `holding` that lock. Raises `TargetError`.
    """
    template = read(file)
    remembered = _recall(template)
    if remembered and remembered in vmrun.snapshots(file):
        return remembered
    name = f"kube-provision-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    vmrun.take_snapshot(file, name, holding=holding)
    if name not in vmrun.snapshots(file):
        raise TargetError(f"{file}: vmrun took snapshot {name}, but does not list it")
    # A snapshot freezes the disks and has the template write to new ones: only now is its state known.
    _remember(read(file), name)
    return name


def _recall(template: Template) -> str | None:
    try:
        fields = json.loads(_memory(template).read_bytes())
        return str(fields["snapshot"]) if fields["state"] == template.state() else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _remember(template: Template, snapshot: str) -> None:
    content = json.dumps({"snapshot": snapshot, "state": template.state()}).encode() + b"\n"
    with telling_os_errors(f"{template.file.parent}: cannot be written"):
        replace_file(_memory(template), content)


def _memory(template: Template) -> Path:
    return template.file.with_suffix(".kube-provision.json")
