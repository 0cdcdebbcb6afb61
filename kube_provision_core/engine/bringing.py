"""How a run brings a snapshot to the master that begins with it: as soon as that listens, and again where it breaks off."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..contract.driver import tell
from ..contract.errors import ControlPlaneError
from ..contract.machines import Node, Vm
from ..folder.kubeconfig import API_PORT
from .latest import Latest
from .plan import AwaitBoot

if TYPE_CHECKING:
    from ..backup import Archive
    from ..folder.pki import Pki

PAUSE = 3.0


@dataclass(frozen=True)
class Bringing:
    pki: Pki
    archive: Archive
    latest: Latest
    """The watcher looks at the master meanwhile."""

    def to(self, node: Node) -> str:
        """For as long as the run awaits its boot. Raises `ControlPlaneError` where it does no more, and `BackupError`."""
        boot = AwaitBoot(node=node).key
        while True:
            try:
                return self._try(self.latest.vm(node.name))
            except ControlPlaneError as problem:
                if self.latest.has_ended(boot):
                    raise
                tell(str(problem))
            time.sleep(PAUSE)

    def _try(self, vm: Vm) -> str:
        from ..cluster.bringing import bring

        if not vm.address:
            raise ControlPlaneError(f"{vm.name} has no address yet")
        endpoint = self.latest.cluster.endpoint(vm.address, API_PORT)
        with closing(self.archive.pieces()) as pieces:
            brought = bring(endpoint, vm.name, self.pki, self.archive.snapshot, pieces)
        return f"{self.archive.end.size / 1e6:.1f} MB" if brought else "it has it already"
