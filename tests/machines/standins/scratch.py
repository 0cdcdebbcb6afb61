"""Folders of kubeadm's own, in which it keeps what it writes over. It never takes them away."""

from __future__ import annotations

import time
from pathlib import Path

from machines.standins.faults import StandInError
from machines.standins.places import SCRATCH


def stamped(name: str) -> Path:
    """A new one, for whose name two within a second are too many. Raises `StandInError`."""
    folder = SCRATCH / f"{name}-{time.strftime('%Y-%m-%d-%H-%M-%S')}"
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError as problem:
        raise StandInError(f"could not create timestamp directory: mkdir {folder}: file exists") from problem
    return folder
