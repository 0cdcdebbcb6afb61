"""What a look at an awaited machine means: whether it is there, whether to go on waiting, and what to say meanwhile.

What is said was seen: by the target, by the run, or told by the machine itself. Limits count from what was seen last: one
that was off for a while, or whose address comes late, is given its whole time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from ..cluster.advice import Remedies
from ..contract.machines import Power, Vm
from ..contract.status import NodeStatus
from ..contract.templates import Baking
from .executor import Sight, State

_HALF_A_DAY = 12 * 3600.0
"""Seconds after which a time of the day alone could be of another one."""

RETRY_SECONDS = 120.0
"""By then a node that had failed before the run has begun anew by itself: it pauses for a minute."""

TAKEN_SECONDS = 600.0
"""In which a machine takes what it is given: it looks every 10 s, and may be booting, or busy with an earlier task."""

USUAL = "usually within 1 min, 5 where machines are emulated"
"""What docs/performance.md tells of a node's first word, of an initialisation and of a join."""
LONGER = "longer than usual: 1 min, 5 where machines are emulated"
_USUAL_SECONDS = 300.0
"""Of the slower ones."""


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


class History:
    """When the run has seen what of one machine. Times are seconds of any steady clock."""

    def __init__(self, now: float) -> None:
        """`now`: the machine is awaited."""
        self.begun = now
        """Since when it is awaited, or powered on if that is later."""
        self.there = self.addressed = now
        """When it, and an address of it, was seen last, or since when it is awaited."""
        self.off: float | None = None
        """Since when it was seen without power."""
        self.status: NodeStatus | None = None
        self.changed = now
        """When its status was seen to change."""
        self.doing_since = now
        """Since when it does what it does, or has said nothing yet."""
        self.silent_since = _clock()
        """For people: since when it could have told something, and has not."""

    def note(self, vm: Vm | None, now: float) -> None:
        if vm is None:
            return
        self.there = now
        if vm.power is not Power.ON:
            self.off = now if self.off is None else self.off
            return
        if self.off is not None:
            self.begun = self.addressed = self.changed = self.doing_since = now
            self.off, self.silent_since = None, _clock()
        if vm.address:
            self.addressed = now
        if vm.status != self.status:
            self.doing_since = self.doing_since if _doing(vm.status) == _doing(self.status) else now
            self.status, self.changed = vm.status, now


def _doing(status: NodeStatus | None) -> tuple[str, int] | None:
    return (status.doing, status.attempt) if status else None


def _clock() -> str:
    return time.strftime("%H:%M:%S")


def judge(awaited: Awaited, vm: Vm | None, history: History, now: float) -> Sight:
    """`vm` is the machine as it is `now`, None where it is not; its history knows of this look already."""
    if vm is None:
        return _bounded(now - history.there, awaited.address_timeout, "it is not there", "the machine is gone")
    if vm.power is not Power.ON:
        return _without_power(awaited, vm, history, now)
    if vm.status and _is_stuck(awaited, vm.status, now - history.begun):
        return Sight(State.FAILED, awaited.remedies.trouble(vm.status, awaited.name), retryable=not vm.status.replace)
    if vm.address is None:
        return _without_address(awaited, vm, now - max(history.addressed, history.begun))
    if not awaited.until_finished or (vm.status and vm.status.finished):
        return Sight(State.DONE, vm.address)
    return _booting(awaited, vm, history, now)


def judge_baking(baking: Baking | None, spec: str, *, waited: float, limit: float) -> Sight:
    """A machine that bakes a template with this content, for `waited` seconds so far."""
    if baking is None or baking.spec != spec:
        return Sight(State.FAILED, "the machine that bakes it is gone; run again")
    status = baking.status
    if baking.done:
        return Sight(State.DONE, baking.baked.summary if baking.baked else "")
    if status and status.state == "failed":
        return Sight(State.FAILED, f"stage {status.stage}: {status.reason}")
    if not baking.running:
        return Sight(State.FAILED, "its machine was powered off before it was done; run again")
    where = status.progress if status else "it has not told anything yet"
    if waited > limit:
        return Sight(State.FAILED, f"{where}: not done after {waited:.0f} s; it goes on by itself, and so does the next run")
    return Sight(State.RUNNING, where, status)


def judge_task(
    remedies: Remedies, vm: Vm, answer: NodeStatus | None, *, waited: float, limit: float, patience: float | None = None
) -> Sight:
    """A machine that was given something to do `waited` seconds ago, is to take it within `patience` seconds, and needs
    `limit` at most once it has begun. `answer` is its own, and about this task."""
    patience = TAKEN_SECONDS if patience is None else patience
    if answer is None:
        meanwhile = "waits for the machine to take it" if vm.power is Power.ON else f"waits: {vm.power.value}"
        failure = f"not taken after {waited:.0f} s ({vm.power.value}). More: {remedies.why(vm.name)}"
        return _bounded(waited, patience, meanwhile, failure)
    if answer.state == "failed":
        return Sight(State.FAILED, remedies.trouble(answer, vm.name), retryable=not answer.replace)
    if answer.finished:
        return Sight(State.DONE, "done")
    failure = f"{answer.progress}: not done after {waited:.0f} s; it goes on by itself"
    return replace(_bounded(waited, patience + limit, answer.progress, failure), status=answer)


def usually(status: NodeStatus | None, waited: float = 0.0) -> str:
    """How long it takes what a machine has done for the `waited` seconds, for people who wait; empty where that depends on
    too much."""
    known = status is None or (status.doing.startswith(("initialises", "joins")) and not status.reason)
    return f" ({LONGER if waited > _USUAL_SECONDS else USUAL})" if known else ""


def is_overdue(vm: Vm) -> bool:
    """Whether a machine that has not been heard of since it was powered on should have been."""
    return _silence(vm) > _USUAL_SECONDS


def silent(vm: Vm) -> str:
    """What is said of a machine that has not been heard of since it was powered on, by whoever has just come to look."""
    day = "" if vm.on_since and time.time() - vm.on_since < _HALF_A_DAY else "%Y-%m-%d "
    since = time.strftime(f", {day}%H:%M:%S", time.localtime(vm.on_since)) if vm.on_since else ""
    return f"nothing heard from it since it was powered on{since}{usually(None, _silence(vm))}"


def _silence(vm: Vm) -> float:
    return time.time() - vm.on_since if vm.on_since else 0.0


def _is_stuck(awaited: Awaited, status: NodeStatus, waited: float) -> bool:
    """What it said before the run may be over: whoever runs again has often just mended the cause."""
    old = status == awaited.before and waited <= RETRY_SECONDS
    return status.replace or (status.state == "failed" and not old)


def _without_power(awaited: Awaited, vm: Vm, history: History, now: float) -> Sight:
    off = now - (history.off if history.off is not None else now)
    state = "powered off" if vm.power is Power.OFF else vm.power.value
    return _bounded(off, awaited.address_timeout, state, f"{state} for {off:.0f} s: run again, which powers it on")


def _without_address(awaited: Awaited, vm: Vm, waited: float) -> Sight:
    if vm.notice:
        return _bounded(waited, awaited.address_timeout, vm.notice, f"no address after {waited:.0f} s: {vm.notice}")
    heard = f"it tells {vm.status.progress}" if vm.status else "the target has heard nothing of its guest"
    return _bounded(waited, awaited.address_timeout, "no address yet", f"no address after {waited:.0f} s: {heard}")


def _booting(awaited: Awaited, vm: Vm, history: History, now: float) -> Sight:
    silence = f": nothing heard since {history.silent_since}"
    where = f"{vm.address}{f' {vm.status.progress}' if vm.status else silence}"
    waited = now - history.begun
    if waited <= awaited.finish_timeout:
        return Sight(State.RUNNING, where + usually(vm.status, now - history.doing_since), vm.status)
    told = f", told {now - history.changed:.0f} s ago" if vm.status else ""
    more = awaited.remedies.why(awaited.name)
    return Sight(State.FAILED, f"{where}{told}: not finished after {waited:.0f} s; it goes on by itself. More: {more}")


def _bounded(waited: float, limit: float, meanwhile: str, failure: str) -> Sight:
    return Sight(State.FAILED, failure) if waited > limit else Sight(State.RUNNING, meanwhile)
