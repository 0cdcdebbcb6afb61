"""What a look at an awaited machine means: whether it is there, whether to go on waiting, and what to say meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from .apply import Sight, State
from .model import NodeStatus, Power, Vm
from .remedies import Remedies

RETRY_SECONDS = 120.0
"""By then a node that had failed before the run has begun anew by itself: it pauses for a minute."""


@dataclass(frozen=True)
class Awaited:
    """A machine that is awaited, and how patiently."""

    remedies: Remedies
    name: str
    until_finished: bool
    """Until its boot has finished; else until it has an address."""
    before: NodeStatus | None
    """What it said before the run."""
    address_timeout: float
    finish_timeout: float


def judge(awaited: Awaited, vm: Vm | None, waited: float) -> Sight:
    """`vm` is the machine as it is now, None where it is not; `waited` are the seconds since it is awaited."""
    if vm is None:
        over = waited > awaited.address_timeout
        return Sight(State.FAILED, "the machine is gone") if over else Sight(State.RUNNING)
    if vm.status and _is_stuck(awaited, vm.status, waited):
        return Sight(State.FAILED, awaited.remedies.trouble(vm.status, awaited.name))
    if vm.address is None:
        return _without_address(awaited, vm, waited)
    if not awaited.until_finished or (vm.status and vm.status.finished):
        return Sight(State.DONE, vm.address)
    where = f"{vm.address} {vm.status.progress}" if vm.status else vm.address
    if waited > awaited.finish_timeout:
        more = awaited.remedies.why(awaited.name)
        return Sight(State.FAILED, f"{where}: not finished after {waited:.0f} s; it goes on by itself. More: {more}")
    return Sight(State.RUNNING, where)


def _is_stuck(awaited: Awaited, status: NodeStatus, waited: float) -> bool:
    """What it said before the run may be over: whoever runs again has often just mended the cause."""
    old = status == awaited.before and waited <= RETRY_SECONDS
    return status.replace or (status.state == "failed" and not old)


def _without_address(awaited: Awaited, vm: Vm, waited: float) -> Sight:
    if waited <= awaited.address_timeout:
        return Sight(State.RUNNING, "no address yet" if vm.power is Power.ON else f"powered {vm.power}")
    return Sight(
        State.FAILED, f"no address after {waited:.0f} s (power {vm.power}): are guest tools and its network all right?"
    )
