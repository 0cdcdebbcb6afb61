"""Disks that a machine was not made with: they outlive it.

VMware deletes a machine with every disk that stands in its .vmx, wherever that lies, and the machine's folder goes with
whatever is in it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from kube_provision_core import TargetError, telling_os_errors

from . import disks, vmx

log = logging.getLogger(__name__)

_OTHER_DISKS = frozenset({".iso", ".img", ".raw", ".qcow2", ".vdi", ".vhd", ".vhdx"})
"""VMware makes none of these in a machine's folder."""


def spare(file: Path, made_with: Collection[str] | None) -> None:
    """Take what does not belong to a machine, which is off, out of its .vmx, and out of its folder into one beside that.

    `made_with`: names of the disks that it was made with, in its folder; None: nobody noted it, and all there are its own.
    Idempotent. Raises `TargetError`.
    """
    with telling_os_errors(f"{file.parent}: a disk in it that is not its own cannot be moved out"):
        own = _own(file.parent, made_with)
        if file.exists():
            _detach(file, own)
        _move_out(file.parent, [path for path in sorted(file.parent.iterdir()) if _is_disk(path) and path not in own])


def builders(vm_dir: Path, folder: Path) -> list[str]:
    """Names of machines in `vm_dir` whose disks build on one in that folder: linked clones of it, whatever its snapshots."""
    found = {path.parent.name for path in vm_dir.glob("*/*.vmdk") if path.parent != folder and _builds_on(path, folder)}
    return sorted(found)


def _builds_on(path: Path, folder: Path) -> bool:
    below = _below(path)
    return below is not None and below.resolve().parent == folder.resolve()


def _own(folder: Path, made_with: Collection[str] | None) -> set[Path]:
    """Files of the disks that the machine was made with, and of those above them: a snapshot has it write to new ones."""
    there = {path for path in folder.glob("*.vmdk") if not path.is_symlink()}
    if made_with is None:
        return there
    own = {folder / name for name in made_with} & there
    while above := {path for path in there - own if _below(path) in own}:
        own |= above
    return own | {part for path in own for part in _contents(path)}


def _below(path: Path) -> Path | None:
    """None also of what cannot be read, which is not one of ours."""
    with suppress(TargetError):
        return disks.below(path)
    return None


def _contents(path: Path) -> tuple[Path, ...]:
    with suppress(TargetError):
        return disks.contents(path)
    return ()


def _is_disk(path: Path) -> bool:
    """A link is deleted with the machine; what it leads to stays."""
    return path.is_file() and not path.is_symlink() and path.suffix.lower() in {".vmdk", *_OTHER_DISKS}


def _detach(file: Path, own: Collection[Path]) -> None:
    try:
        settings = vmx.read(file)
    except TargetError:  # VMware reads no more of it than we do, and deletes nothing that stands there
        return
    others = [disk for disk in disks.disks(settings, file.parent) if disk.file not in own]
    if others:
        slots = tuple(f"{disk.slot}." for disk in others)
        removed = dict.fromkeys(name for name in settings.names() if name.startswith(slots))
        vmx.write(file, settings.changed(removed))
        for disk in others:
            if disk.file.parent != file.parent:
                log.warning("%s: %s was not made with this machine; it stays where it is", file.stem, disk.file)


def _move_out(folder: Path, others: list[Path]) -> None:
    if not others:
        return
    name = folder.name.removesuffix(".vmwarevm")
    kept = folder.with_name(f"{name}.kept.{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
    kept.mkdir(mode=0o700)
    for path in others:
        path.rename(kept / path.name)
    names = ", ".join(path.name for path in others)
    log.warning("%s: %s was not made with this machine; it is kept in %s", name, names, kept)
