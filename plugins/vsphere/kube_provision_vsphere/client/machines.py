"""Looking at virtual machines and acting on single ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kube_provision_core import Power, TargetError

from .. import stamp
from ..addresses import GuestNic
from ..inventory import unescape
from .faults import VcenterError
from .identity import IDENTITY, STAMP, TEMPLATE, option_path, option_text
from .read import Found, Select, retrieve, walk
from .session import Session
from .specification import Order, clone_spec, options, size_spec
from .tasks import LIMIT, Tasks
from .vmomi import managed_id, vim
from .waiting import Awaited, Seen, Values

POWER_GRACE = 10.0
"""Seconds after a clone in which vCenter powers the machine on, by a task of its own whose failure it does not tell."""

TRUST = 8
"""Clones in a row that were whole when their task was done: after them the server's word is taken for the others, which
saves a look in each machine's chain of waits. A server that powers on by a task of its own never gets there."""

POWER = "runtime.powerState"
CPU, MEMORY = "config.hardware.numCPU", "config.hardware.memoryMB"
SETTLING_PATHS = (POWER, CPU, MEMORY)

POWERS = {"poweredOn": Power.ON, "poweredOff": Power.OFF, "suspended": Power.SUSPENDED}


STATUS, SCRUBBED = option_path(stamp.STATUS), option_path(stamp.SCRUBBED)
CHANGING = [POWER, STATUS, SCRUBBED]
GUEST = ["guest.net", "guest.ipAddress"]


@dataclass(frozen=True)
class Sighting:
    """What a look at a virtual machine showed."""

    id: str
    name: str
    folder: str | None
    complete: bool
    """False while vCenter is still making it: nothing but its name is known then."""
    stamp: str | None
    power: Power = Power.OFF
    status: str | None = None
    scrubbed: bool = False
    nics: tuple[GuestNic, ...] = ()
    primary: str | None = None


@dataclass(frozen=True)
class _Settled:
    """A clone shortly after it was made."""

    id: str
    on: bool
    right_size: bool


class Machines:
    """Virtual machines of one vCenter. Thread-safe. Every method raises `TargetError`."""

    def __init__(self, session: Session, tasks: Tasks) -> None:
        self._session, self._tasks = session, tasks
        self._whole = 0
        """Clones in a row that were whole at the first look."""

    def scan(self, top_folder: str) -> list[Sighting]:
        """Identity of every machine below the folder: one call."""
        paths = {"VirtualMachine": IDENTITY}
        walks = [walk("below", "Folder", "childEntity", "below")]
        select = Select(paths, [("Folder", top_folder)], walks)
        return [_sighting(one) for one in retrieve(self._session, "look at the machines", select)]

    def look(
        self, ids: Collection[str], known: Collection[Sighting] = (), settled: Collection[Sighting] = ()
    ) -> list[Sighting]:
        """State of all these machines: one call. What identifies those that are `known` or `settled` is not read again, nor
        what the guest tools of `settled` ones report: an answer about a thousand machines takes its time."""
        before = {one.id: one for one in (*known, *settled)}
        found = retrieve(
            self._session,
            "look at the machines",
            _select([*IDENTITY, *CHANGING, *GUEST], ids),
            _select([*CHANGING, *GUEST], [one.id for one in known]),
            _select(CHANGING, [one.id for one in settled]),
        )
        return [_seen_again(before[one.id], one) if one.id in before else _sighting(one) for one in found]

    def clone(self, order: Order) -> str:
        """The id of the new machine, which is powered on and has the ordered size when this returns.

        Servers that leave a part of the order undone have it done by further calls.
        """
        doing = f"{order.name}: clone"

        def settle(result: Any) -> Seen[_Settled]:
            machine = managed_id(result)
            if self._whole >= TRUST:
                return Seen(_Settled(machine, on=True, right_size=True))
            return Seen(then=self._settling(order, machine))

        settled = self._tasks.run_then("clone", doing, lambda: self._begin_clone(order), settle)
        if settled is None:
            raise RuntimeError("a clone ends settled or with an error")
        self._complete(order, settled)
        return settled.id

    def look_when_made(self, name: str, ids: Collection[str]) -> list[Sighting]:
        """State of these machines; one that is still being made, by a run that was killed perhaps, is awaited first."""

        def judge(values: Values | None, waited: float) -> Seen[None] | None:
            if values is None or CPU in values:
                return Seen()
            if waited > LIMIT:
                raise TargetError(f"{name}: vCenter is still making it after {LIMIT / 60:.0f} minutes; look at its tasks")
            return None

        seen = self.look(ids)
        unfinished = [one.id for one in seen if not one.complete]
        for item in unfinished:
            self._tasks.waiting.wait(Awaited("VirtualMachine", item, judge))
        return self.look(ids) if unfinished else seen

    def power_on(self, name: str, machine: str) -> None:
        """Nothing to do is fine."""
        self._power(f"{name}: power on", machine, "PowerOnVM_Task")

    def power_off(self, name: str, machine: str) -> None:
        """Without asking the guest. Nothing to do is fine."""
        self._power(f"{name}: power off", machine, "PowerOffVM_Task")

    def set_options(self, name: str, machine: str, values: Mapping[str, str], doing: str) -> None:
        """Change keys of extraConfig, of a running machine too."""
        spec = vim.vm.ConfigSpec(extraConfig=options(values))
        self._run(f"{name}: {doing}", machine, "ReconfigVM_Task", spec)

    def destroy(self, name: str, machine: str) -> None:
        """Delete a machine that is powered off, with its disks."""
        self._run(f"{name}: delete", machine, "Destroy_Task")

    def _begin_clone(self, order: Order) -> Any:
        template = self._session.managed("VirtualMachine", order.template.id)
        folder = self._session.managed("Folder", order.folder)
        return template.CloneVM_Task(folder=folder, name=order.name, spec=clone_spec(self._session, order))

    def _settling(self, order: Order, machine: str) -> Awaited[_Settled]:
        def judge(values: Values | None, waited: float) -> Seen[_Settled] | None:
            seen = values or {}
            on = seen.get(POWER) == vim.VirtualMachine.PowerState.poweredOn
            right = seen.get(CPU) == order.cpu and seen.get(MEMORY) == order.memory_mib
            self._whole = self._whole + 1 if on and right else 0
            if on or not right or waited > POWER_GRACE:
                return Seen(_Settled(machine, on, right))
            return None

        return Awaited("VirtualMachine", machine, judge)

    def _complete(self, order: Order, settled: _Settled) -> None:
        if settled.on and settled.right_size:
            return
        if not settled.right_size:
            if settled.on:
                self.power_off(order.name, settled.id)
            self._run(f"{order.name}: set the size", settled.id, "ReconfigVM_Task", size_spec(order))
        self.power_on(order.name, settled.id)

    def _power(self, doing: str, machine: str, method: str) -> None:
        try:
            self._run(doing, machine, method)
        except VcenterError as error:
            if error.kind != "InvalidPowerState":  # it is in that state already
                raise

    def _run(self, doing: str, machine: str, method: str, *arguments: Any) -> None:
        self._tasks.run(method, doing, lambda: getattr(self._session.managed("VirtualMachine", machine), method)(*arguments))


def _select(paths: Collection[str], machines: Collection[str]) -> Select:
    return Select({"VirtualMachine": paths}, [("VirtualMachine", item) for item in machines])


def _sighting(one: Found) -> Sighting:
    values = one.values
    parent = values.get("parent")
    identity = Sighting(
        id=one.id,
        name=unescape(values.get("name", "")),
        folder=managed_id(parent) if parent is not None else None,
        complete=TEMPLATE in values,
        stamp=option_text(values.get(STAMP)),
    )
    return _seen_again(identity, one)


def _seen_again(before: Sighting, one: Found) -> Sighting:
    values = one.values
    return replace(
        before,
        power=POWERS.get(str(values.get(POWER)), Power.OFF),
        status=option_text(values.get(STATUS)),
        scrubbed=option_text(values.get(SCRUBBED)) is not None,
        nics=tuple(_nics(values.get("guest.net") or ())),
        primary=values.get("guest.ipAddress"),
    )


def _nics(nets: Collection[Any]) -> Iterator[GuestNic]:
    for net in nets:
        config = net.ipConfig.ipAddress if net.ipConfig else ()
        detailed = [entry.ipAddress for entry in config if entry.state in (None, "preferred", "unknown")]
        yield GuestNic(net.deviceConfigId, tuple(detailed or net.ipAddress))
