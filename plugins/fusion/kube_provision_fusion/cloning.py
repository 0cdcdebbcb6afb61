"""Clones of a template, one after another: VMware locks a template while it is cloned."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
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


class Cloner:
    """Thread-safe."""

    def __init__(self, host: Host, vmrun: Vmrun) -> None:
        self._host, self._vmrun = host, vmrun
        self._lock = Lock()
        self._unlinked: set[Path] = set()
        """Templates of which this edition makes no linked clones."""

    def clone(self, origin: Origin, destination: Path, name: str, lock: int) -> None:
        """Make `destination`, a .vmx in an empty folder that is locked by `lock`.

        Raises `TargetError`; something may be left in the folder then.
        """
        there = replace(origin, template=real(origin.template))
        tell("waits for its turn at the template")
        with locked(there.template.parent, QUEUE_TIMEOUT) as queue:
            if queue is None:
                raise TargetError(f"template: there is no file {origin.template}")
            locks = (lock, queue)
            clone = partial(self._vmrun.clone, there.template, destination, name, holding=locks)
            if self._links(there):
                tell("is cloned")
                snapshot = there.snapshot or current_snapshot(self._vmrun, there.template, locks)
                if self._linked(partial(clone, linked=True, snapshot=snapshot), there.template):
                    return
                machines.clear(destination.parent)
            tell("is copied: a full clone takes its time")
            self._full(partial(clone, linked=False, snapshot=there.snapshot))

    def _links(self, origin: Origin) -> bool:
        with self._lock:
            return origin.linked and origin.template not in self._unlinked

    def _linked(self, clone: Callable[[], None], template: Path) -> bool:
        """False where the edition refuses."""
        try:
            clone()
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
            return False
        return True

    def _full(self, clone: Callable[[], None]) -> None:
        try:
            clone()
        except VmrunError as problem:
            if not problem.edition_refuses:
                raise
            raise TargetError(
                f"{problem}. An edition that makes no clones at all says so too: {self._host.name} is needed"
            ) from problem
