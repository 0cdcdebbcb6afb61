"""Who uses the files of disks: a disk may be attached to several machines, and a linked clone builds on another's."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from threading import Lock
from time import monotonic
from typing import Any

from .read import Found, Select, retrieve, walk
from .session import Session
from .vmomi import vim

DEVICES = "config.hardware.device"
GOOD_FOR = 10.0
"""Seconds for which a look at a datastore's machines serves all that are destroyed: it is a long answer, and what is
looked for was attached by a person."""


class DiskUsers:
    """The machines of datastores and the files that these use. Thread-safe."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = Lock()
        self._looked: dict[str, tuple[float, list[Found]]] = {}
        """When the machines of a datastore were seen, and what was."""

    def others(self, machine: str, datastores: Collection[str], doing: str) -> dict[str, str]:
        """By file in these datastores: the name of a machine that uses it, besides the given one. Raises `TargetError`."""
        seen = [found for store in datastores for found in self._machines_of(store, doing) if found.id != machine]
        return {file: found.values.get("name", found.id) for found in seen for file in _files(found)}

    def _machines_of(self, datastore: str, doing: str) -> list[Found]:
        with self._lock:
            when, seen = self._looked.get(datastore, (0.0, []))
            if datastore not in self._looked or monotonic() - when > GOOD_FOR:
                paths = {"VirtualMachine": ["name", DEVICES]}
                select = Select(paths, [("Datastore", datastore)], [walk("machines", "Datastore", "vm")])
                seen = retrieve(self._session, doing, select)
                self._looked[datastore] = monotonic(), seen
            return seen


def _files(machine: Found) -> Iterator[str]:
    for device in machine.values.get(DEVICES) or ():
        if isinstance(device, vim.vm.device.VirtualDisk):
            yield from chain(device.backing)


def chain(backing: Any) -> Iterator[str]:
    """The file of a disk, and those that it builds on."""
    while backing is not None:
        if file := getattr(backing, "fileName", None):
            yield file
        backing = getattr(backing, "parent", None)
