"""Clones of a template, one after another: VMware locks a template while it is cloned."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from kube_provision_core import TargetError, tell

from . import machines
from .folder_lock import locked
from .host import Host
from .template import current_snapshot, real
from .vmrun import Vmrun, VmrunError

log = logging.getLogger(__name__)

QUEUE_TIMEOUT = 4 * 3600.0
"""Seconds that a clone may wait for others: full clones of many machines take their time."""


@dataclass(frozen=True)
class Origin:
    """What is cloned, and how."""

    template: Path
    linked: bool
    snapshot: str | None = None
    """None: that of the template's present state, or for a full clone the present state itself."""


@dataclass(frozen=True)
class _Order:
    vmrun: Vmrun
    origin: Origin
    destination: Path
    name: str
    locks: tuple[int, ...]

    def clone(self, *, linked: bool, snapshot: str | None) -> None:
        self.vmrun.clone(
            self.origin.template, self.destination, self.name, linked=linked, snapshot=snapshot, holding=self.locks
        )


class Cloner:
    """Thread-safe."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = Lock()
        self._unlinked: set[Path] = set()
        """Templates of which this edition makes no linked clones."""

    def clone(self, vmrun: Vmrun, origin: Origin, destination: Path, name: str, lock: int) -> None:
        """Make `destination`, a .vmx in an empty folder that is locked by `lock`.

        Raises `TargetError`; something may be left in the folder then.
        """
        there = replace(origin, template=real(origin.template))
        tell("waits for its turn at the template")
        with locked(there.template.parent, QUEUE_TIMEOUT) as queue:
            if queue is None:
                raise TargetError(f"template: there is no file {origin.template}")
            order = _Order(vmrun, there, destination, name, (lock, queue))
            if not (self._links(there) and self._linked(order)):
                self._full(order)

    def _links(self, origin: Origin) -> bool:
        with self._lock:
            return origin.linked and origin.template not in self._unlinked

    def _linked(self, order: _Order) -> bool:
        """False where the edition refuses."""
        template = order.origin.template
        tell("is cloned")
        snapshot = order.origin.snapshot or current_snapshot(order.vmrun, template, order.locks)
        try:
            order.clone(linked=True, snapshot=snapshot)
        except VmrunError as problem:
            if not problem.edition_refuses:
                raise
            log.warning(
                "%s: this edition of VMware makes no linked clones; full ones are made, which take time and room. "
                "Set clone_type: full to say that this is meant",
                template,
            )
            with self._lock:
                self._unlinked.add(template)
            machines.clear(order.destination.parent)
            return False
        return True

    def _full(self, order: _Order) -> None:
        tell("is copied: a full clone takes its time")
        try:
            order.clone(linked=False, snapshot=order.origin.snapshot)
        except VmrunError as problem:
            if not problem.edition_refuses:
                raise
            raise TargetError(
                f"{problem}. An edition that makes no clones at all says so too: {self._host.name} is needed"
            ) from problem
