"""Whether etcd has surely lost its quorum: what each master that may run says itself, and who of them says nothing.

One that follows no leader belongs to no majority. One that cannot be asked may, whatever others see of it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ..contract.errors import ControlPlaneError
from ..contract.machines import Power, Role, Vm
from .living import control_plane

if TYPE_CHECKING:
    from ..folder.pki import Pki
    from .api import ControlPlane
    from .etcd import EtcdStanding
    from .observe import Observation

LOOKS, PAUSE = 16, 2.0
"""Times that they are asked where nobody leads, and seconds between: half a minute. An election takes one or two, may need
another round, and takes longer where a host is starved or somebody has set a longer `election-timeout`."""


def leaders(seen: Observation, pki: Pki) -> Mapping[str, str | ControlPlaneError]:
    """By the name of each master that is not off: the id of the leader that its etcd follows, empty where it follows none;
    why it cannot be asked.

    One look at a leader that lives is enough, and so is one at a master that cannot be asked. Else the last look counts:
    before an election followers name a leader that has died, in its midst they follow nobody.
    """
    running = [vm for vm in seen.of(Role.MASTER) if vm.power is not Power.OFF]
    if not any(vm.address for vm in running):
        return {vm.name: ControlPlaneError("it tells no address") for vm in running}
    with control_plane(seen, pki) as api, ThreadPoolExecutor(len(running)) as pool:
        for look in range(LOOKS):
            time.sleep(PAUSE if look else 0.0)
            said = dict(zip((vm.name for vm in running), pool.map(lambda vm: _standing(api, vm), running), strict=True))
            if _settled(said.values()):
                break
    return {name: it if isinstance(it, ControlPlaneError) else it.leader for name, it in said.items()}


def _settled(said: Collection[EtcdStanding | ControlPlaneError]) -> bool:
    """Nobody has to look again: somebody is unknown, or follows one of those who answer."""
    standings = [it for it in said if not isinstance(it, ControlPlaneError)]
    alive = {it.member for it in standings} - {""}
    return len(standings) < len(said) or any(it.leader in alive for it in standings)


def _standing(api: ControlPlane, vm: Vm) -> EtcdStanding | ControlPlaneError:
    if not vm.address:
        return ControlPlaneError("it tells no address")
    try:
        return api.etcd.standing_at(vm.address)
    except ControlPlaneError as error:
        return error
