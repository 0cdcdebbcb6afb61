"""containerd, told what kubeadm's nodes need of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contract.boot import File, Stage, Step
from . import registries
from .templating import render

if TYPE_CHECKING:
    from ..config.core import CoreConfig


START_LIMIT = 180
"""Seconds."""


def configuration() -> File:
    return File("/etc/containerd/config.toml", render("etc/containerd/config.toml", registry_hosts=registries.FOLDER))


def start(config: CoreConfig, stage: Stage) -> Step:
    """What only the machine itself knows is filled in."""
    logins = registries.LOGINS if registries.has_logins(config) else ""
    script = render("steps/container-runtime.sh", image_repository=config.image_repository, logins=logins)
    return Step("container-runtime", stage, script, timeout=START_LIMIT)
