"""The first disk of a machine that bakes: a copy of the source, as a template without anything in it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from kube_provision_core import Image, TargetError

from .. import chain, disks, template
from ..emulator import Emulator
from ..places import BOOT_DISK
from . import debian
from .download import cache_folder, check, fetch
from .sources import DebianRelease, ImageFile, ImageUrl, Source

DISK_GIB = 10
"""Size of a template's disk, unless its source's is larger. What nobody has written takes no space; machines' disks grow."""

SPACE = 6 * disks.GIB
"""Bytes that making one takes for a while, and what a template needs at the end."""


def require(source: Source, emulator: Emulator) -> None:
    """Raise `TargetError` unless the source can be used on this host."""
    if isinstance(source, DebianRelease):
        debian.require(emulator.architecture)
    elif isinstance(source, ImageFile):
        chain.read(source.path, f"bake_from: {source}")


def require_space(folder: Path) -> None:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < SPACE:
        raise TargetError(
            f"{folder} has {free / disks.GIB:.1f} GiB left, and a bake needs {SPACE / disks.GIB:.0f}: free some"
        )


def make(source: Source, image: Image, emulator: Emulator, folder: Path, log: Path) -> None:
    """Fill the folder with a disk, its manifest, and a kernel where the source has one outside of its disk.

    What the programs say that build a disk goes to the `log`. Raises `TargetError` or OSError.
    """
    if isinstance(source, DebianRelease):
        _build(source, image, emulator, folder, log)
    else:
        _copy(source, emulator, folder)


def _build(source: DebianRelease, image: Image, emulator: Emulator, folder: Path, log: Path) -> None:
    disk, kernel, initrd = debian.build(source, image.script, image.repositories, folder, log, DISK_GIB)
    target = folder / BOOT_DISK
    disks.convert(emulator.image_tool, disk, target, "raw")
    beside = [path.replace(target.with_suffix(f".{path.name}")) for path in (kernel, initrd)]
    shutil.rmtree(disk.parent)
    made = template.read(target)
    template.write_manifest(replace(made, architecture=emulator.architecture, kernel=beside[0], initrd=beside[1]))


def _copy(source: ImageFile | ImageUrl, emulator: Emulator, folder: Path) -> None:
    path = _fetch(source)
    target = folder / BOOT_DISK
    _check_kind(path, disks.kind(emulator.image_tool, path))
    disks.convert(emulator.image_tool, path, target)
    disks.grow(emulator.image_tool, target, max(template.read(target).virtual_size, DISK_GIB * disks.GIB))
    template.write_manifest(replace(template.read(target), architecture=emulator.architecture))


def _fetch(source: ImageFile | ImageUrl) -> Path:
    """The image on this host, which has the checksum that was named."""
    if isinstance(source, ImageUrl):
        return fetch(source, cache_folder(os.environ))
    if source.checksum:
        check(source.path, source.checksum, str(source))
    return source.path


def _check_kind(path: Path, kind: str) -> None:
    """Anything at all passes for a raw disk: one that can boot has a table of partitions."""
    with path.open("rb") as file:
        bootable = file.read(512)[510:] == b"\x55\xaa"
    if kind == "raw" and not bootable:
        raise TargetError(f"bake_from: {path} is no disk that can boot: is it a cloud image?")
