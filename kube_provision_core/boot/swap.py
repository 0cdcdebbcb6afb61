"""Swap: off, or as the template has it, and a file on the boot disk besides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..config.swap import ROOM_GIB, file_gib
from ..contract.boot import Stage, Step, Unit
from ..contract.machines import Cluster
from . import systemd
from .templating import render

if TYPE_CHECKING:
    from ..config.core import CoreConfig

FILE = "/kube_provision_swap"
"""In the root, which no mount hides; another name than a template's own would have."""

UNIT = f"{systemd.escape_path(FILE)}.swap"


def units(config: CoreConfig) -> Iterator[Unit]:
    """Enabled by the step, once there is a file."""
    if file_gib(config.swap):
        yield Unit(UNIT, render("etc/systemd/system/file.swap", file=FILE), enable=False)


def steps(cluster: Cluster, config: CoreConfig) -> Iterator[Step]:
    if size := file_gib(config.swap):
        script = render("steps/swap.sh", file=FILE, size_gib=size, room_gib=ROOM_GIB, unit=UNIT)
        yield Step("swap", Stage.PREPARE, script, timeout=900)
    elif not config.swap and not cluster.shares_kernel:
        yield Step("no-swap", Stage.PREPARE, render("steps/no-swap.sh"), timeout=300)
