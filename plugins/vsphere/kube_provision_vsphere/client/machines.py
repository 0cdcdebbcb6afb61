"""Looking at virtual machines and acting on single ones."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kube_provision_core import TargetError

from .. import stamp
from . import disks
from .cards import change
from .faults import VcenterError
from .identity import IDENTITY, INSTANCE, is_copy, walk_machines
from .read import Found, Select, retrieve, select_machines
from .session import Session
from .sightings import ADDRESS, CARD, CHANGING, DOMAIN, GUEST, POWER, USER_DATA, Sighting, seen_again, sighting
from .specification import Order, clone_spec, config_spec, options, size_spec
from .tasks import LIMIT, Tasks
from .users import DiskUsers
from .vmomi import managed_id, vim
from .waiting import Awaited, Seen, Values, Waiting

log = logging.getLogger(__name__)

POWER_GRACE = 10.0
"""Seconds after a clone in which vCenter powers the machine on, by a task of its own whose failure it does not tell."""

TRUST = 8
"""Clones in a row that were whole when their task was done: after them the server's word is taken for the others, which
saves a look in each machine's chain of waits. A server that powers on by a task of its own never gets there."""

CPU, MEMORY = "config.hardware.numCPU", "config.hardware.memoryMB"
AWAITED_PATHS = (*IDENTITY, POWER, CPU, MEMORY)

GATHERING = 0.1
"""Seconds in which those gather who want to know whose a machine is: they share a call."""


@dataclass(frozen=True)
class _Settled:
    """A clone shortly after it was made."""

    id: str
    on: bool
    right_size: bool
    instance: str = ""
    """The identity that vCenter has given it in place of the ordered one; empty: it has that."""


class Machines:
    """Virtual machines of one vCenter. Thread-safe. Every method raises `TargetError`."""

    def __init__(self, session: Session, tasks: Tasks, user_data: Waiting) -> None:
        """`user_data`: looks that show it as well, which is long unless it is empty."""
        self._session, self._tasks, self._user_data = session, tasks, user_data
        self._users = DiskUsers(session)
        self._whole = 0
        """Clones in a row that were whole at the first look."""

    def scan(self, top_folder: str) -> list[Sighting]:
        """Identity of every machine below the folder: one call."""
        paths = {"VirtualMachine": IDENTITY}
        select = Select(paths, [("Folder", top_folder)], walk_machines())
        return [sighting(one) for one in retrieve(self._session, "look at the machines", select)]

    def look(
        self, ids: Collection[str], known: Collection[Sighting] = (), settled: Collection[Sighting] = ()
    ) -> list[Sighting]:
        """State of all these machines: one call. Of those that are `known` is not asked again what identifies them, nor of
        `settled` ones what guest tools report: an answer about a thousand machines takes its time. It is short where nobody
        is asked for more, since vCenter reads of all objects in a call what is asked of any of them (its reference of
        PropertySpec)."""
        before = {one.id: one for one in (*known, *settled)}
        found = retrieve(
            self._session,
            "look at the machines",
            select_machines([*IDENTITY, *CHANGING, *GUEST, USER_DATA, ADDRESS, CARD, DOMAIN], ids),
            select_machines([*CHANGING, *GUEST], [one.id for one in known]),
            select_machines(CHANGING, [one.id for one in settled]),
            select_machines([USER_DATA], [one.id for one in before.values() if one.marked]),
        )
        return [seen_again(before[one.id], one) if one.id in before else sighting(one) for one in found]

    def identity(self, machine: str, *, user_data: bool = False) -> Sighting | None:
        """The machine as it is now, but for what changes often; None where it is gone. Who asks at once, shares a call.

        `user_data`: with whether that is empty.
        """

        def judge(values: Values | None, waited: float) -> Seen[Sighting]:
            return Seen(None if values is None else sighting(Found("VirtualMachine", machine, dict(values))))

        waiting = self._user_data if user_data else self._tasks.waiting
        return waiting.wait(Awaited("VirtualMachine", machine, judge, expected=GATHERING))

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

    def configure(self, order: Order, machine: str, *, without_properties: bool) -> None:
        """Make of a machine that is deployed already, and off, what was ordered, and power it on.

        `without_properties`: take away those of the OVF template that it was deployed from.
        """

        def begin() -> Any:
            spec = config_spec(self._session, order)
            spec.vAppConfigRemoved = without_properties or None
            return self._session.machine(machine).ReconfigVM_Task(spec)

        self._tasks.run("ReconfigVM_Task", f"{order.name}: configure", begin)
        self.power_on(order.name, machine)

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
        self._tasks.of_machine(f"{name}: {doing}", machine, "ReconfigVM_Task", spec)

    def destroy(self, name: str, machine: str, *, running: bool) -> None:
        """Power off and delete, with the disks that it was made with. Others are detached and kept, or, where that is
        impossible, named: then nothing is deleted."""
        if running:
            self._look_at_disks(name, machine)  # what is refused goes on running
            self.power_off(name, machine)
        self._detach_others(name, machine)  # a storage driver may have attached one until now
        self._tasks.of_machine(f"{name}: delete", machine, "Destroy_Task")

    def _look_at_disks(self, name: str, machine: str) -> disks.Disks:
        found = disks.look(self._session, self._users, name, machine)
        if found.in_snapshots:
            kept = ", ".join(found.in_snapshots)
            raise TargetError(
                f"{name}: {kept} was not made with it alone, and would be deleted with its snapshots; delete those, and run "
                "again"
            )
        return found

    def _detach_others(self, name: str, machine: str) -> None:
        found = self._look_at_disks(name, machine)
        if not found.others:
            return
        removals = [change("remove", disk) for disk in found.others]
        self._tasks.of_machine(
            f"{name}: detach {found.files}", machine, "ReconfigVM_Task", vim.vm.ConfigSpec(deviceChange=removals)
        )
        log.warning("%s: not its own alone, so detached before it is deleted, and kept: %s", name, found.files)
        left = self._look_at_disks(name, machine)
        if left.others:
            raise TargetError(f"{name}: {left.files} is not its own alone and cannot be detached; nothing is deleted")

    def _begin_clone(self, order: Order) -> Any:
        template = self._session.machine(order.template.id)
        folder = self._session.managed("Folder", order.folder)
        return template.CloneVM_Task(folder=folder, name=order.name, spec=clone_spec(self._session, order))

    def _settling(self, order: Order, machine: str) -> Awaited[_Settled]:
        def judge(values: Values | None, waited: float) -> Seen[_Settled] | None:
            seen = values or {}
            on = seen.get(POWER) == vim.VirtualMachine.PowerState.poweredOn
            right = seen.get(CPU) == order.size.cpu and seen.get(MEMORY) == order.size.memory_gib * 1024
            instance = str(seen[INSTANCE]) if is_copy(seen) else ""
            self._whole = self._whole + 1 if on and right and not instance else 0
            if on or not right or waited > POWER_GRACE:
                return Seen(_Settled(machine, on, right, instance))
            return None

        return Awaited("VirtualMachine", machine, judge)

    def _complete(self, order: Order, settled: _Settled) -> None:
        if settled.instance:
            self.set_options(order.name, settled.id, {stamp.INSTANCE: settled.instance}, "note which machine it is")
        if settled.on and settled.right_size:
            return
        if not settled.right_size:
            if settled.on:
                self.power_off(order.name, settled.id)
            self._tasks.of_machine(f"{order.name}: set the size", settled.id, "ReconfigVM_Task", size_spec(order))
        self.power_on(order.name, settled.id)

    def _power(self, doing: str, machine: str, method: str) -> None:
        try:
            self._tasks.of_machine(doing, machine, method)
        except VcenterError as error:
            if error.kind != "InvalidPowerState":  # it is in that state already
                raise
