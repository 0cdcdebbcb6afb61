"""Mounts, volumes and further disks: formatted only if blank, mounted by systemd at every boot."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from ..contract.boot import BootFragment, Stage, Step, Unit
from . import systemd
from .templating import render

if TYPE_CHECKING:
    from ..config.core import CoreConfig
    from ..config.script import DataVolume, Volume

_DATA_LABEL = "kube-data"
"""Label of a further disk's file system, by which later boots find it; of the second and later ones a number follows. At
most 12 characters, for xfs."""
_LIMIT = 900
"""Seconds for a disk; a large one takes a while to format."""


def mounts(sources: Mapping[str, str]) -> BootFragment:
    """File systems that exist already. A server's are mounted after packages, which may bring what mounts them."""
    units = tuple(mount_unit(where, what) for where, what in sources.items())
    here = tuple(_unit_name(where) for where, what in sources.items() if not _is_remote(what))
    remote = tuple(_unit_name(where) for where, what in sources.items() if _is_remote(what))
    steps = (
        Step(name, stage, render("steps/start.sh", units=names), timeout=_LIMIT)
        for name, stage, names in (("mounts", Stage.PREPARE, here), ("remote-mounts", Stage.DISCOVER, remote))
        if names
    )
    return BootFragment(units=units, steps=tuple(steps))


def volumes(wanted: list[Volume]) -> BootFragment:
    units = tuple(mount_unit(volume.mount, volume.dev, volume.format) for volume in wanted)
    return BootFragment(units=units, steps=tuple(_volume_steps(wanted)))


def data_volumes(wanted: list[DataVolume], taken: list[Volume]) -> BootFragment:
    """The disks that the machine was made with, as far as they are neither the boot disk nor a configured volume.

    Each is one that is blank and of the configured size; a single one may have another. Once formatted it is found by its
    label. One step for all of them: which disk is whose is decided for all before any is formatted.
    """
    if not wanted:
        return BootFragment()
    labels = (_DATA_LABEL, *(f"{_DATA_LABEL}-{number}" for number in range(2, len(wanted) + 1)))
    units = tuple(
        mount_unit(disk.mount, f"/dev/disk/by-label/{label}", disk.format)
        for disk, label in zip(wanted, labels, strict=True)
    )
    script = render(
        "steps/data-volumes.sh",
        labels=labels,
        sizes=tuple(disk.size for disk in wanted),
        kinds=tuple(disk.format for disk in wanted),
        taken=tuple(volume.dev for volume in taken),
        units=tuple(unit.name for unit in units),
    )
    return BootFragment(units=units, steps=(Step("data-volume", Stage.PREPARE, script, timeout=_LIMIT * len(wanted)),))


def mounted_below(folders: Collection[str], config: CoreConfig) -> tuple[str, ...]:
    """What the configuration mounts at these folders or in them."""
    points = {*config.mounts, *(it.mount for it in config.volumes), *(it.mount for it in config.further_disks)}
    paths = map(posixpath.normpath, points)
    return tuple(sorted(path for path in paths if any(f"{path}/".startswith(f"{folder}/") for folder in folders)))


def mount_unit(where: str, what: str, kind: str = "") -> Unit:
    """Wanted, not required, by the boot: a machine without its data disk should still be reachable."""
    content = render("etc/systemd/system/volume.mount", what=what, where=where, kind=kind, remote=_is_remote(what))
    return Unit(_unit_name(where), content)


def _unit_name(where: str) -> str:
    return f"{systemd.escape_path(where)}.mount"


def _is_remote(what: str) -> bool:
    """`server:/path` of NFS and `//server/share` of CIFS; `mount` tells the two apart by itself."""
    return what.startswith("//") or ":/" in what


def _volume_steps(wanted: list[Volume]) -> Iterator[Step]:
    for number, volume in enumerate(wanted, start=1):
        script = render(
            "steps/volume.sh",
            device=volume.dev,
            kind=volume.format,
            unit=_unit_name(volume.mount),
        )
        yield Step(f"volume-{number}", Stage.PREPARE, script, timeout=_LIMIT)
    owned = {volume.mount: volume.owner for volume in wanted if volume.owner != "root:root"}
    if owned:
        script = "\n".join(f"chown {shlex.quote(owner)} {shlex.quote(where)}" for where, owner in owned.items())
        yield Step("volume-owners", Stage.DISCOVER, script, timeout=60)  # packages may have brought the users
