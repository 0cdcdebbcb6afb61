"""Reading what must be known of templates, networks, datastores and clusters before anything is created: one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..inventory import Item
from ..resources import Datastore, Disk, Host, HostCluster, Network, Resources, Template
from .cards import cards
from .read import Found, Select, retrieve
from .session import Session
from .vmomi import managed_id, vim

GIB = 1024**3

CREATED = "config.createDate"
DEVICES = "config.hardware.device"
SWITCH = "config.distributedVirtualSwitch"
PATHS = {
    "VirtualMachine": [DEVICES, "config.template", CREATED, "runtime.powerState", "snapshot"],
    "Datastore": ["summary.freeSpace", "summary.accessible", "summary.maintenanceMode"],
    "DistributedVirtualPortgroup": [SWITCH],
    "DistributedVirtualSwitch": ["uuid"],
    "ClusterComputeResource": ["configurationEx"],
    "HostSystem": ["runtime.connectionState", "runtime.inMaintenanceMode"],
}
"""By type; a switch of VMware's own and one of another maker are both DistributedVirtualSwitches."""


def read_resources(session: Session, items: Iterable[Item]) -> Resources:
    chosen = {item.id: item for item in items}
    found = retrieve(
        session,
        "read what machines are made from",
        Select(PATHS, [(item.kind, item.id) for item in chosen.values() if item.kind != "Network"]),
    )
    networks = [Network(item.id, item.name, None) for item in chosen.values() if item.kind == "Network"]
    return Resources(
        templates={one.id: _template(one) for one in _of("VirtualMachine", found)},
        datastores={one.id: _datastore(one) for one in _of("Datastore", found)},
        networks={one.id: one for one in [*networks, *_port_groups(found, chosen)]},
        clusters={one.id: _cluster(one) for one in found if one.kind.endswith("ComputeResource")},
        hosts={one.id: _host(one) for one in _of("HostSystem", found)},
    )


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
        disks=tuple(_disk(device) for device in disks(devices)),
        has_card=bool(cards(devices)),
        devices=devices,
    )


def disks(devices: Iterable[Any]) -> list[Any]:
    """The virtual disks, the boot disk first: that of the first controller's first place."""
    found = [device for device in devices if isinstance(device, vim.vm.device.VirtualDisk)]
    return sorted(found, key=lambda disk: (disk.controllerKey or 0, disk.unitNumber or 0))


def _disk(device: Any) -> Disk:
    size = device.capacityInBytes or device.capacityInKB * 1024
    return Disk(device.key, size / GIB, linked=getattr(device.backing, "parent", None) is not None)


def _datastore(one: Found) -> Datastore:
    maintenance = one.values.get("summary.maintenanceMode") or "normal"
    usable = bool(one.values.get("summary.accessible", True)) and maintenance == "normal"
    return Datastore(one.id, int(one.values.get("summary.freeSpace") or 0), usable)


def _port_groups(found: list[Found], chosen: dict[str, Item]) -> Iterator[Network]:
    switches = {one.id: one.values["uuid"] for one in found if "uuid" in one.values}
    for one in _of("DistributedVirtualPortgroup", found):
        if SWITCH in one.values:
            switch = switches.get(managed_id(one.values[SWITCH]))
            yield Network(one.id, chosen[one.id].name, switch)


def _cluster(one: Found) -> HostCluster:
    config = one.values.get("configurationEx")
    groups = [group.name for group in getattr(config, "group", None) or () if isinstance(group, vim.cluster.VmGroup)]
    drs = getattr(config, "drsConfig", None)
    return HostCluster(one.id, bool(drs and drs.enabled), frozenset(groups))


def _host(one: Found) -> Host:
    connected = one.values.get("runtime.connectionState") == vim.HostSystem.ConnectionState.connected
    return Host(one.id, connected and not one.values.get("runtime.inMaintenanceMode"))
