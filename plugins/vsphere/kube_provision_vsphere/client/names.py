"""Reading the inventory: datacenters, then everything in one of them."""

from __future__ import annotations

from collections.abc import Collection

from ..inventory import DATACENTER, Inventory, Item, Wanted, unescape
from .details import SWITCH
from .identity import IDENTITY, STAMP, TEMPLATE, is_copy, option_text, parent_of, walk_machines
from .read import Found, Select, retrieve, walk
from .session import Session
from .vmomi import managed_id

TOP_FOLDERS = {"vmFolder", "hostFolder", "networkFolder", "datastoreFolder"}


def read_inventory(session: Session, datacenter: str | None, templates: Collection[str]) -> Inventory:
    """Names and places of everything in the datacenter, in two calls. Raises `ConfigError` for an unknown datacenter.

    `templates`: full paths; where one leads into another datacenter, the machines of that one are `elsewhere`.
    """
    doing = "read vCenter's inventory"
    above = _datacenters(session, doing)
    names = Inventory(_item(found) for found in above)
    what = Wanted("datacenter", "datacenter", (DATACENTER,))
    chosen = names.find(what, datacenter) if datacenter else names.only(what)
    tops = next(found.values for found in above if found.id == chosen.id)
    inside = _inside(session, doing, {key: managed_id(tops[key]) for key in TOP_FOLDERS})
    line = [item for item in names.items.values() if item.kind != DATACENTER or item.id == chosen.id]
    others = [item.id for item in above if item.kind == DATACENTER and item.id != chosen.id]
    named = [item for item in others if any(path.startswith(f"{names.path(item)}/") for path in templates)]
    folders = [managed_id(found.values["vmFolder"]) for found in above if found.id in named]
    elsewhere = retrieve(session, doing, _machines(folders))
    return Inventory([*line, *map(_item, inside)], Inventory([*names.items.values(), *map(_item, elsewhere)]))


def _datacenters(session: Session, doing: str) -> list[Found]:
    root = session.call(doing, lambda: managed_id(session.content.rootFolder))
    paths = {"Folder": ["name", "parent"], DATACENTER: ["name", "parent", *TOP_FOLDERS]}
    found = retrieve(session, doing, Select(paths, [("Folder", root)], [walk("above", "Folder", "childEntity", "above")]))
    return [item for item in found if item.id != root]


def _inside(session: Session, doing: str, tops: dict[str, str]) -> list[Found]:
    hosts = [
        walk("hosts", "Folder", "childEntity", "hosts", "pool", "members"),
        walk("pool", "ComputeResource", "resourcePool", "pools"),
        walk("pools", "ResourcePool", "resourcePool", "pools"),
        walk("members", "ComputeResource", "host"),
    ]
    flat = [walk("flat", "Folder", "childEntity", "flat")]
    names = {"ManagedEntity": ["name", "parent"]}
    return retrieve(
        session,
        doing,
        _machines([tops["vmFolder"]]),
        Select(names, [("Folder", tops["hostFolder"])], hosts),
        Select(names, [("Folder", tops["networkFolder"]), ("Folder", tops["datastoreFolder"])], flat),
        Select({"DistributedVirtualPortgroup": [SWITCH]}, [("Folder", tops["networkFolder"])], flat),
    )


def _machines(folders: Collection[str]) -> Select:
    paths = {"Folder": ["name", "parent"], "VirtualMachine": IDENTITY}
    return Select(paths, [("Folder", folder) for folder in folders], walk_machines())


def _item(found: Found) -> Item:
    switch = found.values.get(SWITCH)
    return Item(
        kind=found.kind,
        id=found.id,
        name=unescape(found.values.get("name", found.id)),
        parent=parent_of(found.values),
        template=bool(found.values.get(TEMPLATE)),
        stamp=option_text(found.values.get(STAMP)),
        copy=is_copy(found.values),
        switch=managed_id(switch) if switch is not None else None,
    )
