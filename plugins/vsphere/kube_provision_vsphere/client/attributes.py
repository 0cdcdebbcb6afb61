"""vCenter's custom attributes of machines."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .faults import VcenterError
from .read import Select, retrieve, select_machines
from .session import Session
from .vmomi import managed_id, vim

THREADS = 8
DOING = "set custom attributes"

Attributes = Mapping[str, Mapping[str, str]]
"""Values by machine's id and attribute's name."""


def set_attributes(session: Session, wanted: Attributes) -> None:
    """Define what is not defined, set what differs, one call each: there is none for several. Raises `TargetError`."""
    manager = session.call(DOING, lambda: managed_id(session.content.customFieldsManager))
    found = retrieve(
        session,
        DOING,
        Select({"CustomFieldsManager": ["field"]}, [("CustomFieldsManager", manager)]),
        select_machines(["customValue"], wanted),
    )
    values = {one.id: one.values for one in found}
    current = {item: {it.key: it.value for it in its.get("customValue") or ()} for item, its in values.items()}
    keys = _keys(session, manager, values[manager].get("field") or (), {name for names in wanted.values() for name in names})

    def set_one(change: tuple[str, int, str]) -> None:
        machine, key, value = change
        session.call(DOING, lambda: _manager(session, manager).SetField(session.machine(machine), key, value))

    changes = [
        (machine, keys[name], value)
        for machine, attributes in wanted.items()
        for name, value in attributes.items()
        if machine in current and current[machine].get(keys[name]) != value
    ]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="attributes") as pool:
        list(pool.map(set_one, changes))


def _keys(session: Session, manager: str, fields: Any, names: set[str]) -> dict[str, int]:
    """Keys of the attributes by name; one that is not defined is defined, for virtual machines."""
    keys = {field.name: field.key for field in fields if field.managedObjectType in (None, vim.VirtualMachine)}
    for name in sorted(names - keys.keys()):
        keys[name] = _define(session, manager, name)
    return keys


def _define(session: Session, manager: str, name: str) -> int:
    try:
        return int(session.call(DOING, lambda: _manager(session, manager).AddCustomFieldDef(name, vim.VirtualMachine).key))
    except VcenterError as error:
        if error.kind != "DuplicateName":
            raise
    found = retrieve(session, DOING, Select({"CustomFieldsManager": ["field"]}, [("CustomFieldsManager", manager)]))
    return next(int(field.key) for field in found[0].values["field"] if field.name == name)


def _manager(session: Session, manager: str) -> Any:
    return session.managed("CustomFieldsManager", manager)
