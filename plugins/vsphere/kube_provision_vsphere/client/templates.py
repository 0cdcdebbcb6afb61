"""What templates need besides what other machines do: finding them by their place, renaming, shutting down, marking."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kube_provision_core import Power, TargetError

from .. import stamp
from ..inventory import escape
from .cards import forget_addresses
from .faults import VcenterError
from .identity import INSTANCE, NOTED_INSTANCE, TEMPLATE, is_copy, option_path, option_text
from .read import Found, retrieve, select_machines
from .session import Session
from .sightings import POWER, POWERS
from .specification import options
from .tasks import Tasks
from .users import DEVICES
from .vmomi import managed_id, managed_kind, vim
from .waiting import Awaited, Seen, Values

SHUTDOWN = 180.0
"""Seconds that a guest may take to shut down before its machine is powered off."""

NAME, SNAPSHOT = "name", "snapshot"
BAKING, BAKED, STATUS = (option_path(key) for key in (stamp.BAKING, stamp.BAKED, stamp.STATUS))
NOTE = "config.annotation"
STATE = (NAME, TEMPLATE, POWER, SNAPSHOT, BAKING, BAKED, STATUS, NOTE, INSTANCE, NOTED_INSTANCE)

Place = tuple[str, str]
"""A folder's id and a name in it."""


@dataclass(frozen=True)
class TemplateSighting:
    """What a look at a template, or at a machine that becomes one, showed."""

    id: str
    name: str
    complete: bool
    """False while vCenter is still making it: nothing but its name is known then."""
    is_template: bool
    power: Power
    has_snapshot: bool
    baking: str | None
    """The keys of its extraConfig, as they are."""
    baked: str | None
    status: str | None
    note: str
    copy: bool
    """The keys were written for another machine, which this one is a copy of."""


class TemplateMachines:
    """Thread-safe. Every method raises `TargetError`."""

    def __init__(self, session: Session, tasks: Tasks) -> None:
        self._session, self._tasks = session, tasks

    def find(self, places: Collection[Place]) -> dict[Place, TemplateSighting]:
        """The machines at these places; what is not there is left out."""
        ids = {place: found for place in dict.fromkeys(places) if (found := self._child(place))}
        seen = {one.id: one for one in self._look(ids.values())}
        return {place: seen[item] for place, item in ids.items() if item in seen}

    def shut_down(self, name: str, machine: str) -> bool:
        """Whether the guest has shut down when it was asked to; a guest without tools cannot be asked."""

        def judge(values: Values | None, waited: float) -> Seen[bool] | None:
            if (values or {}).get(POWER) != vim.VirtualMachine.PowerState.poweredOn:
                return Seen(True)
            return Seen(False) if waited > SHUTDOWN else None

        doing = f"{name}: shut down"
        try:
            self._session.call(doing, lambda: self._session.machine(machine).ShutdownGuest())
        except VcenterError as error:
            return error.kind == "InvalidPowerState"
        off = self._tasks.waiting.wait(Awaited("VirtualMachine", machine, judge))
        return off is True

    def describe(self, name: str, machine: str, note: str, values: Mapping[str, str]) -> None:
        """Set its notes and keys of its extraConfig; an empty value deletes a key. A hardware address is not kept."""
        changes = list(forget_addresses(self._devices(name, machine)))
        spec = vim.vm.ConfigSpec(annotation=note, extraConfig=options(values), deviceChange=changes)
        self._tasks.of_machine(f"{name}: describe", machine, "ReconfigVM_Task", spec)

    def take_snapshot(self, name: str, machine: str) -> None:
        """For linked clones to build on."""
        self._tasks.of_machine(
            f"{name}: take a snapshot", machine, "CreateSnapshot_Task", "base", "for linked clones", False, False
        )

    def mark(self, name: str, machine: str) -> None:
        """Make the machine, which is powered off, a template."""
        self._session.call(f"{name}: mark as template", lambda: self._session.machine(machine).MarkAsTemplate())

    def rename(self, name: str, machine: str, new: str) -> None:
        self._tasks.of_machine(f"{name}: rename to {new}", machine, "Rename_Task", escape(new))

    def _child(self, place: Place) -> str | None:
        folder, name = place

        def ask() -> str | None:
            index = self._session.content.searchIndex
            child = index.FindChild(self._session.managed("Folder", folder), escape(name))
            return managed_id(child) if child is not None and managed_kind(child) == "VirtualMachine" else None

        return self._session.call(f"look for {name}", ask)

    def _look(self, ids: Collection[str]) -> list[TemplateSighting]:
        return [_sighting(one) for one in retrieve(self._session, "look at the templates", select_machines(STATE, ids))]

    def _devices(self, name: str, machine: str) -> Iterable[Any]:
        found = retrieve(self._session, f"{name}: read its devices", select_machines([DEVICES], [machine]))
        return [device for one in found for device in one.values.get(DEVICES) or ()]


def _sighting(one: Found) -> TemplateSighting:
    values = one.values
    if NAME not in values:
        raise TargetError(f"the account may not read the name of {one.id}: give it read access to the templates' folder")
    return TemplateSighting(
        id=one.id,
        name=values[NAME],
        complete=TEMPLATE in values,
        is_template=bool(values.get(TEMPLATE)),
        power=POWERS.get(str(values.get(POWER)), Power.OFF),
        has_snapshot=values.get(SNAPSHOT) is not None,
        baking=option_text(values.get(BAKING)),
        baked=option_text(values.get(BAKED)),
        status=option_text(values.get(STATUS)),
        note=str(values.get(NOTE) or ""),
        copy=is_copy(values),
    )
