"""Whether etcd has surely lost its quorum: what each master that may run says itself, and who of them says nothing.

One that follows no leader belongs to no majority. One that cannot be asked may, whatever others see of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ..contract.errors import ControlPlaneError
from ..contract.machines import Power, Role, Vm
from .living import control_plane

if TYPE_CHECKING:
    from ..folder.pki import Pki
    from .api import ControlPlane
    from .observe import Observation

LOOKS = 4
PAUSE = 2.0
"""Seconds between two looks, of which the last counts: an election takes one or two, and may need another round. Before it
followers name a leader that has died, and in its midst those who are about to elect one follow nobody."""


def leaders(seen: Observation, pki: Pki) -> Mapping[str, str | ControlPlaneError]:
    """By the name of each master that is not off: the id of the leader that its etcd follows, empty where it follows none;
    why it cannot be asked."""
    running = [vm for vm in seen.of(Role.MASTER) if vm.power is not Power.OFF]
    if not any(vm.address for vm in running):
        return {vm.name: ControlPlaneError("it tells no address") for vm in running}
    with control_plane(seen, pki) as api, ThreadPoolExecutor(len(running)) as pool:
        for look in range(LOOKS):
            time.sleep(PAUSE if look else 0.0)
            said = dict(zip((vm.name for vm in running), pool.map(lambda vm: _leader(api, vm), running), strict=True))
            if any(isinstance(leader, ControlPlaneError) for leader in said.values()):
                break
    return said


def _leader(api: ControlPlane, vm: Vm) -> str | ControlPlaneError:
    if not vm.address:
        return ControlPlaneError("it tells no address")
    try:
        return api.etcd_leader_at(vm.address)
    except ControlPlaneError as error:
        return error
