"""Secrets leave every place where VMware keeps a machine's boot data."""

from __future__ import annotations

import re
from pathlib import Path

from kube_provision_core import GuestInfo, TargetError, telling_os_errors

from . import vmx
from .vmrun import Vmrun
from .vmx import Vmx

_LOGGED = re.compile(rb"guestinfo\.userdata *= *\"?([^\r\n]{16,})", re.IGNORECASE)
"""VMware logs the whole configuration at power-on."""


def is_empty(user_data: str) -> bool:
    """It is what replaces the boot data of a machine that has booted."""
    return user_data == GuestInfo.scrubbed()[GuestInfo.USER_DATA]


def is_clean(settings: Vmx) -> bool:
    return is_empty(settings.get(GuestInfo.USER_DATA))


def scrub(vmrun: Vmrun, file: Path, *, running: bool) -> None:
    """Replace the boot data in the running machine, in its file and in its logs; read back. Raises `TargetError`."""
    if running:
        for name, value in GuestInfo.scrubbed().items():
            vmrun.write(file, "runtimeConfig", name, value)
    clean_file(file)
    _clean_logs(file.parent)
    if not is_clean(vmx.read(file)):
        raise TargetError(f"{file}: its boot data came back after it was replaced; is it being edited in VMware?")
    if running and not is_empty(vmrun.read(file, "runtimeConfig", GuestInfo.USER_DATA)):
        raise TargetError(f"{file}: the running machine keeps its boot data although vmrun replaced it")


def clean_file(file: Path) -> None:
    settings = vmx.read(file)
    if not is_clean(settings):
        vmx.write(file, settings.changed(GuestInfo.scrubbed()))
    file.with_name(f"{file.name}~").unlink(missing_ok=True)  # the copy that an editor keeps


def _clean_logs(folder: Path) -> None:
    """In place: the machine goes on writing to the end of its log."""
    with telling_os_errors(f"{folder}: its logs cannot be cleaned"):
        for path in folder.glob("*.log"):
            with path.open("r+b") as log:
                for found in _LOGGED.finditer(log.read()):
                    log.seek(found.start(1))
                    log.write(b"-" * len(found[1]))
