"""Secrets leave every place where VMware keeps a machine's boot data."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from kube_provision_core import GuestInfo, TargetError, telling_os_errors

from . import vmx
from .vmrun import Variable, Vmrun
from .vmx import Vmx

log = logging.getLogger(__name__)


def is_clean(settings: Vmx) -> bool:
    return GuestInfo.is_scrubbed(settings.get(GuestInfo.USER_DATA))


def runs_clean(vmrun: Vmrun, file: Path) -> bool:
    """In the configuration that the running machine writes when it stops, and in what its processes can ask for."""
    return all(GuestInfo.is_scrubbed(vmrun.read(file, *place)) for place in places(GuestInfo.USER_DATA))


def places(name: str) -> tuple[tuple[Variable, str], ...]:
    """The guest's own copy is the one that the node has emptied itself as soon as it could."""
    return ("runtimeConfig", name), _guests_copy(name)


def _guests_copy(name: str) -> tuple[Variable, str]:
    return "guestVar", name.removeprefix("guestinfo.")


def scrub(vmrun: Vmrun, file: Path, *, running: bool) -> None:
    """Replace the boot data in the running machine, in its file and in its logs; read back. Raises `TargetError`."""
    if running:
        if not GuestInfo.is_scrubbed(vmrun.read(file, *_guests_copy(GuestInfo.USER_DATA))):
            log.warning(GuestInfo.NOT_EMPTIED, file.stem)
        for name, value in GuestInfo.scrubbed().items():
            for place in places(name):
                vmrun.write(file, *place, value)
    clean_file(file)
    clean_logs(file.parent, GuestInfo.USER_DATA)
    if not is_clean(vmx.read(file)):
        raise TargetError(f"{file}: its boot data came back after it was replaced; is it being edited in VMware?")
    if running and not runs_clean(vmrun, file):
        raise TargetError(f"{file}: the running machine keeps its boot data although vmrun replaced it")


def clean_file(file: Path) -> None:
    settings = vmx.read(file)
    if not is_clean(settings):
        vmx.write(file, settings.changed(GuestInfo.scrubbed()))
    file.with_name(f"{file.name}~").unlink(missing_ok=True)  # the copy that an editor keeps


def clean_logs(folder: Path, name: str) -> None:
    """VMware logs the whole configuration at power-on. In place: the machine goes on writing to the end of its log."""
    logged = re.compile(rb"%s *= *\"?([^\r\n]{16,})" % re.escape(name.encode()), re.IGNORECASE)
    with telling_os_errors(f"{folder}: its logs cannot be cleaned"):
        for path in folder.glob("*.log"):
            with path.open("r+b") as log:
                for found in logged.finditer(log.read()):
                    log.seek(found.start(1))
                    log.write(b"-" * len(found[1]))
