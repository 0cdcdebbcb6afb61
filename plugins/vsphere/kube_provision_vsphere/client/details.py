"""Reading what must be known of templates, networks, datastores and clusters before anything is created: one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..inventory import Item, unescape
from ..resources import Datastore, Disk, Host, HostCluster, Network, Resources, Template
from .cards import cards
from .disks import disks, free_places
from .read import Found, Select, retrieve, select_machines
from .session import Session
from .users import DEVICES
from .vmomi import managed_id, vim

GIB = 1024**3

CREATED, HARDWARE = "config.createDate", "config.version"
PROPERTIES = "config.vAppConfig"
SWITCH = "config.distributedVirtualSwitch"
PATHS = {
    "VirtualMachine": [DEVICES, "config.template", CREATED, HARDWARE, "runtime.powerState", "snapshot", "network"],
    "Datastore": ["summary.freeSpace", "summary.accessible", "summary.maintenanceMode"],
    "DistributedVirtualPortgroup": [SWITCH],
    "DistributedVirtualSwitch": ["uuid"],
    "OpaqueNetwork": ["summary"],
    "ComputeResource": ["configurationEx", "datastore", "network"],
    "HostSystem": ["runtime.connectionState", "runtime.inMaintenanceMode", "datastore", "network"],
}
"""By type; a switch of VMware's own and one of another maker are both DistributedVirtualSwitches."""


def read_resources(session: Session, items: Iterable[Item]) -> Resources:
    chosen = {item.id: item for item in items}
    found = retrieve(
        session,
        "read what machines are made from",
        Select(PATHS, [(item.kind, item.id) for item in chosen.values() if item.kind != "Network"]),
    )
    networks = [Network(item.id, item.kind, item.name) for item in chosen.values() if item.kind == "Network"]
    return Resources(
        templates={one.id: _template(one) for one in _of("VirtualMachine", found)},
        datastores={one.id: _datastore(one) for one in _of("Datastore", found)},
        networks={one.id: one for one in [*networks, *_port_groups(found, chosen), *_opaque_networks(found, chosen)]},
        clusters={one.id: _cluster(one) for one in found if one.kind.endswith("ComputeResource")},
        hosts={one.id: _host(one) for one in _of("HostSystem", found)},
    )


def has_properties(session: Session, name: str, machine: str) -> bool:
    """Whether it has those of an OVF template, by which cloud-init would take its boot data from there."""
    found = retrieve(session, f"{name}: read its properties", select_machines([PROPERTIES], [machine]))
    return any(one.values.get(PROPERTIES) for one in found)


def _of(kind: str, found: Iterable[Found]) -> Iterator[Found]:
    return (one for one in found if one.kind == kind)


def _template(one: Found) -> Template:
    devices = tuple(one.values.get(DEVICES) or ())
    snapshots = one.values.get("snapshot")
    current = snapshots.currentSnapshot if snapshots else None
    return Template(
        id=one.id,
        is_template=bool(one.values.get("config.template")),
        running=one.values.get("runtime.powerState") != vim.VirtualMachine.PowerState.poweredOff,
        created=one.values.get(CREATED),
        snapshot=managed_id(current) if current else None,
        snapshots=tuple(_snapshots(snapshots.rootSnapshotList if snapshots else ())),
        disks=tuple(Disk(it.key, (it.capacityInBytes or it.capacityInKB * 1024) / GIB) for it in disks(devices)),
        hardware=str(one.values.get(HARDWARE) or ""),
        has_card=bool(cards(devices)),
        datastores=_ids(getattr(disk.backing, "datastore", None) for disk in disks(devices)),
        networks=_ids(one.values.get("network") or ()),
        free_places=free_places(devices),
        devices=devices,
    )


def _snapshots(trees: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for tree in trees:
        yield unescape(tree.name), managed_id(tree.snapshot)
        yield from _snapshots(tree.childSnapshotList)


def _datastore(one: Found) -> Datastore:
    maintenance = one.values.get("summary.maintenanceMode") or "normal"
    usable = bool(one.values.get("summary.accessible", True)) and maintenance == "normal"
    return Datastore(one.id, int(one.values.get("summary.freeSpace") or 0), usable)


def _port_groups(found: list[Found], chosen: dict[str, Item]) -> Iterator[Network]:
    switches = {one.id: one.values["uuid"] for one in found if "uuid" in one.values}
    for one in _of("DistributedVirtualPortgroup", found):
        if SWITCH in one.values:
            switch = switches.get(managed_id(one.values[SWITCH]))
            yield Network(one.id, one.kind, chosen[one.id].name, switch)


def _opaque_networks(found: list[Found], chosen: dict[str, Item]) -> Iterator[Network]:
    for one in _of("OpaqueNetwork", found):
        summary = one.values.get("summary")
        known = (summary.opaqueNetworkId, summary.opaqueNetworkType) if summary else None
        yield Network(one.id, one.kind, chosen[one.id].name, opaque=known)


def _ids(things: Iterable[Any]) -> frozenset[str]:
    return frozenset(managed_id(thing) for thing in things if thing is not None)


def _cluster(one: Found) -> HostCluster:
    config = one.values.get("configurationEx")
    groups = [group.name for group in getattr(config, "group", None) or () if isinstance(group, vim.cluster.VmGroup)]
    drs = getattr(config, "drsConfig", None)
    return HostCluster(one.id, bool(drs and drs.enabled), frozenset(groups), *_reached(one))


def _host(one: Found) -> Host:
    connected = one.values.get("runtime.connectionState") == vim.HostSystem.ConnectionState.connected
    return Host(one.id, connected and not one.values.get("runtime.inMaintenanceMode"), *_reached(one))


def _reached(one: Found) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """Datastores and networks; None for what the account may not read."""
    stores, networks = (_ids(one.values[name]) if name in one.values else None for name in ("datastore", "network"))
    return stores, networks
