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
from itertools import count
from pathlib import Path

from kube_provision_core import UNFINISHED, Baked, TargetError, replace_link

from .. import disks, template

_ENDINGS = (".qcow2", ".json", ".vmlinuz", ".initrd")


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
    _remove_parts(path)
    disk = _free(path, baked)
    part = path.with_name(f".{disk.stem}.{secrets.token_hex(4)}.part")
    try:
        kernel, initrd = (_copy_beside(disk, source) for source in (made.kernel, made.initrd))
        disks.convert(image_tool, made.disk, part)
        part.replace(disk)
        finished = template.read(disk)
        template.write_manifest(
            replace(made, disk=disk, fingerprint=finished.fingerprint, kernel=kernel, initrd=initrd, contents=baked.document)
        )
        replace_link(path, disk.name)
    except BaseException:  # half a template takes a gigabyte, and nobody would know whose it is
        if not (path.is_symlink() and path.readlink() == Path(disk.name)):  # Ctrl-C may come when all is done
            for left in (part, *(disk.with_suffix(ending) for ending in _ENDINGS)):
                left.unlink(missing_ok=True)
        raise
    return disk


def _free(path: Path, baked: Baked) -> Path:
    """Where a version goes: machines may have been made from any finished one, be its time the same."""
    stem = f"{path.name.removesuffix('.qcow2')}.{''.join(filter(str.isalnum, baked.date))}"
    names = (f"{stem}{f'-{number}' if number > 1 else ''}.qcow2" for number in count(1))
    return next(disk for name in names if not _is_anothers(disk := path.with_name(name), baked))


def _is_anothers(disk: Path, baked: Baked) -> bool:
    """A killed run may have left this very version, and has let nobody know of it yet."""
    try:
        return disk.with_suffix(".json").exists() and template.read(disk).contents != baked.document
    except TargetError:
        return True


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
