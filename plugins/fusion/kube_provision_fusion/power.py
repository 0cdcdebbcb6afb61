"""Machines are started, stopped and deleted, whatever vmrun makes of it."""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore

from kube_provision_core import TargetError, tell

from . import machines
from .host import Host
from .machine_log import complaint
from .vmrun import Vmrun

log = logging.getLogger(__name__)

BOOTS = 3
"""Machines that start at once: more would only wait for the same disk."""

_CLOCKS = 1.0
"""Seconds by which times of files may lag behind."""


class PowerSwitch:
    """Thread-safe. Methods raise `TargetError`."""

    def __init__(self, host: Host, vmrun: Vmrun) -> None:
        self._host, self._vmrun = host, vmrun
        self._boots = BoundedSemaphore(BOOTS)

    def runs(self, file: Path) -> bool:
        """Whether the machine of this .vmx runs."""
        return self._host.normal(file) in self._vmrun.running()

    def start(self, file: Path) -> None:
        tell("waits for its turn to start")
        with self._boots:
            tell("is started")
            begun = time.time() - _CLOCKS
            try:
                self._vmrun.start(file)
            except TargetError as problem:
                # vmrun may lose sight of a machine without a window that starts all the same.
                if not self.runs(file):
                    if why := complaint(file.parent, begun):
                        raise TargetError(f"{problem}: {why}") from problem
                    _tell_locks(file, problem)
                    raise
                log.debug("%s; it runs nevertheless", problem)

    def stop(self, file: Path, *, patiently: bool = False) -> None:
        """Kindly, then hard."""
        for stop in (partial(self._vmrun.shut_down, patiently=patiently), self._vmrun.switch_off):
            if not self.runs(file):
                return
            try:
                stop(file)
            except TargetError as problem:
                log.debug("%s", problem)
        if self.runs(file):
            raise TargetError(f"{file}: this machine cannot be switched off; switch it off in VMware, then run again")

    def delete(self, file: Path, lock: int) -> None:
        """The machine, which is off and spared of what is not its own (`attached`), with its folder. VMware first, which may
        know it; then whatever it leaves, such as locks of a host that crashed."""
        if file.exists():
            try:
                self._vmrun.delete(file, holding=[lock])
            except TargetError as problem:
                log.debug("%s; its folder is removed", problem)
        if file.parent.exists():
            machines.erase(file.parent)


def _tell_locks(file: Path, problem: TargetError) -> None:
    """Raise with the locks that may be the reason, where there are any."""
    if locks := machines.locks(file.parent):
        raise TargetError(
            f"{problem}. Locks lie beside it ({', '.join(locks)}): if no VMware program has this machine open, a crash left "
            "them, and they can be deleted"
        ) from problem
