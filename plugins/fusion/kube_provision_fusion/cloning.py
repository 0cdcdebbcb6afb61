"""Clones of a template, one after another: VMware locks a template while it is cloned."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from kube_provision_core import TargetError

from . import files, machines
from .config import CloneType, FusionConfig
from .host import Host
from .template import current_snapshot
from .vmrun import Vmrun, VmrunError

log = logging.getLogger(__name__)

QUEUE_TIMEOUT = 4 * 3600.0
"""Seconds that a clone may wait for others: full clones of many machines take their time."""


@dataclass(frozen=True)
class _Order:
    vmrun: Vmrun
    config: FusionConfig
    destination: Path
    name: str
    locks: tuple[int, ...]

    def clone(self, *, linked: bool, snapshot: str | None) -> None:
        self.vmrun.clone(
            self.config.template, self.destination, self.name, linked=linked, snapshot=snapshot, holding=self.locks
        )


class Cloner:
    """Thread-safe."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = Lock()
        self._unlinked: set[Path] = set()
        """Templates of which this edition makes no linked clones."""

    def clone(self, vmrun: Vmrun, config: FusionConfig, destination: Path, name: str, lock: int) -> None:
        """Make `destination`, a .vmx in an empty folder that is locked by `lock`.

        Raises `TargetError`; something may be left in the folder then.
        """
        with files.locked(config.template.parent, QUEUE_TIMEOUT) as queue:
            if queue is None:
                raise TargetError(f"template: there is no file {config.template}")
            order = _Order(vmrun, config, destination, name, (lock, queue))
            if not (self._links(config) and self._linked(order)):
                self._full(order)

    def _links(self, config: FusionConfig) -> bool:
        with self._lock:
            return config.clone_type is CloneType.LINKED and config.template not in self._unlinked

    def _linked(self, order: _Order) -> bool:
        """False where the edition refuses."""
        template = order.config.template
        snapshot = order.config.snapshot or current_snapshot(order.vmrun, template, order.locks)
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
        try:
            order.clone(linked=False, snapshot=order.config.snapshot)
        except VmrunError as problem:
            if not problem.edition_refuses:
                raise
            raise TargetError(
                f"{problem}. An edition that makes no clones at all says so too: {self._host.name} is needed"
            ) from problem
