"""A task waits in a file of ours beside the machine's .vmx; from there it is put where the machine looks for it.

That is the .vmx and, while the machine runs, what it writes that from when it stops, and what its processes ask for. Whether
it writes what vmrun has changed meanwhile, nobody promises: before it starts again, its .vmx is made to say the same.
"""

from __future__ import annotations

from pathlib import Path

from kube_provision_core import GuestInfo, replace_file, telling_os_errors

from . import scrubbing, vmx
from .vmrun import Vmrun
from .vmx import Vmx

FILE = "kube-provision.task"


def waiting(folder: Path, settings: Vmx) -> bytes:
    """What a machine that stopped has brought back into its .vmx waits, too: for whoever takes it away."""
    return _kept(folder) or GuestInfo.waiting(settings.get(GuestInfo.TASK))


def deliver(vmrun: Vmrun, file: Path, task: bytes | None, *, running: bool) -> None:
    """Our own file comes first where a task is delivered, and goes last: after a kill it tells of all that there is.

    Raises `TargetError`. A running machine's variable stands in vmrun's arguments: tasks are sealed.
    """
    value, kept = GuestInfo.task(task), file.with_name(FILE)
    with telling_os_errors(f"{kept}: cannot be changed"):
        if task:
            replace_file(kept, task)
        if running:
            for place in scrubbing.places(GuestInfo.TASK):
                vmrun.write(file, *place, value)
        _put(file, value)
        if not task:
            scrubbing.clean_logs(file.parent, GuestInfo.TASK)
            kept.unlink(missing_ok=True)


def restore(file: Path) -> None:
    """Before the machine starts. Raises `TargetError`."""
    _put(file, GuestInfo.task(_kept(file.parent)))


def _kept(folder: Path) -> bytes:
    with telling_os_errors(f"{folder}: its task cannot be read"):
        kept = folder / FILE
        return kept.read_bytes() if kept.exists() else b""


def _put(file: Path, value: str) -> None:
    settings = vmx.read(file)
    if settings.get(GuestInfo.TASK) != value:
        vmx.write(file, settings.changed({GuestInfo.TASK: value or None}))
