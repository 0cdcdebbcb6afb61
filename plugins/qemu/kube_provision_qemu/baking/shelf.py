"""Where finished templates lie: the configured path is a link to the newest of them, and older ones stay for their machines.

    debian-13.qcow2 -> debian-13.20261127T100000Z.qcow2
    debian-13.20261127T100000Z.qcow2      the disk
    debian-13.20261127T100000Z.json       its manifest, and beside it kernel and initrd where it has them

A disk never changes once there are machines, whose own disks build on it.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import replace
from pathlib import Path

from kube_provision_core import UNFINISHED, Baked, TargetError, replace_link

from .. import disks, template


def current(path: Path) -> Baked | None:
    """What is in the template at that path; None for none of ours."""
    if not path.is_symlink() or not path.exists():
        return None
    try:
        return Baked.parse(dict(template.read(path).contents))
    except TargetError:
        return None


def is_somebody_elses(path: Path) -> bool:
    """Something lies there that a link of ours must not replace."""
    return path.exists() and current(path) is None


def publish(image_tool: Path, made: template.Template, baked: Baked, path: Path) -> Path:
    """Copy a finished disk to the shelf and let the path lead to it, in one step; the new disk.

    Raises `TargetError` or OSError; then the path leads to where it led before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = f"{path.name.removesuffix('.qcow2')}.{''.join(filter(str.isalnum, baked.date))}"
    disk = path.with_name(f"{stem}.qcow2")
    part = path.with_name(f".{stem}.{secrets.token_hex(4)}.part")
    _remove_parts(path)
    try:
        disks.convert(image_tool, made.disk, part)
        part.replace(disk)
    finally:
        part.unlink(missing_ok=True)
    kernel, initrd = (_copy_beside(disk, source) for source in (made.kernel, made.initrd))
    finished = template.read(disk)
    template.write_manifest(
        replace(made, disk=disk, fingerprint=finished.fingerprint, kernel=kernel, initrd=initrd, contents=baked.document)
    )
    replace_link(path, disk.name)
    return disk


def _copy_beside(disk: Path, source: Path | None) -> Path | None:
    if source is None:
        return None
    target = disk.with_suffix(source.suffix)
    shutil.copyfile(source, target)
    return target


def _remove_parts(path: Path) -> None:
    """What killed runs have left."""
    for pattern in (f".{path.name.removesuffix('.qcow2')}.*.part", f"{UNFINISHED}{path.name}.*"):
        for left in path.parent.glob(pattern):
            left.unlink()
