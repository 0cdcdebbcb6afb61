"""The one specification that makes a whole machine: size, disks, network, boot data, stamp, power."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from kube_provision_core import Machine, TargetError

from .. import stamp
from ..inventory import Item
from ..resources import Disk, Network, Template
from ..values import Firmware
from . import cards
from .disks import disks, note
from .session import Session
from .vmomi import vim

LINKED = "createNewChildDiskBacking"
"""How the disk of a linked clone is made."""
KIB_PER_GIB = 1024**2
NEW_DISK = -100
"""Key of the first new disk; the others count down. New cards' begin at -2."""


@dataclass(frozen=True)
class Order:
    """A machine to make."""

    name: str
    template: Template
    folder: str
    pool: Item
    host: str | None
    datastore: str | None
    """None: where the template lies."""
    networks: Sequence[Network]
    """Of its cards; none: the template's."""
    policy: str | None
    """Id of the storage policy; None: the datastore's."""
    mac_addresses: Sequence[str | None]
    """Of its cards, where the template's are kept of the first one; None: vCenter chooses it."""
    size: Machine
    snapshot: str | None
    """Of the template: a linked clone builds on it. None: a full clone."""
    firmware: Firmware | None
    """None: the template's."""
    note: str
    extra_config: Mapping[str, str] = field(repr=False)
    """Holds boot data and with it secrets."""


def clone_spec(session: Session, order: Order) -> Any:
    """Only inside of `Session.call`."""
    location = vim.vm.RelocateSpec(pool=session.managed(order.pool.kind, order.pool.id))
    if order.datastore:
        location.datastore = session.managed("Datastore", order.datastore)
    if order.host:
        location.host = session.managed("HostSystem", order.host)
    spec = vim.vm.CloneSpec(location=location, template=False, powerOn=True, config=config_spec(session, order))
    if order.policy:
        location.profile = profile(order)
        location.disk = [_located(order, disk, location.datastore) for disk in order.template.disks]
    if order.snapshot:
        location.diskMoveType = LINKED
        spec.snapshot = session.managed("VirtualMachineSnapshot", order.snapshot)
    return spec


def size_spec(order: Order) -> Any:
    return vim.vm.ConfigSpec(numCPUs=order.size.cpu, numCoresPerSocket=1, memoryMB=order.size.memory_gib * 1024)


def options(values: Mapping[str, str]) -> list[Any]:
    return [vim.option.OptionValue(key=key, value=value) for key, value in values.items()]


def config_spec(session: Session, order: Order) -> Any:
    """What the machine is beside a copy. Only inside of `Session.call`."""
    spec = size_spec(order)
    spec.annotation = order.note
    if order.firmware:
        secure = order.firmware is Firmware.EFI_SECURE_BOOT
        spec.firmware = Firmware.BIOS.value if order.firmware is Firmware.BIOS else Firmware.EFI.value
        spec.bootOptions = vim.vm.BootOptions(efiSecureBootEnabled=secure)
    inherited, added = disks(order.template.devices), _added_disks(order)
    spec.instanceUuid = str(uuid4())
    own = {stamp.INSTANCE: spec.instanceUuid, stamp.DISKS: note([*inherited, *added])}
    spec.extraConfig = options({**order.extra_config, **own})
    spec.deviceChange = [
        *_grown_disks(order, inherited[0]),
        *(_created(order, disk) for disk in added),
        *_card_changes(session, order),
    ]
    return spec


def _grown_disks(order: Order, boot_disk: Any) -> Iterator[Any]:
    wanted = order.size.boot_disk_gib
    if wanted and wanted > order.template.disks[0].gib:
        yield cards.change("edit", _grown(boot_disk, wanted))


def _added_disks(order: Order) -> list[Any]:
    """Raises `TargetError` where the template has no room for them."""
    if fault := order.template.lack_of_room(order.size.data_volumes_gib):
        raise TargetError(f"{order.name}: {fault}")
    wanted = zip(order.size.data_volumes_gib, order.template.free_places, strict=False)
    return [_new_disk(NEW_DISK - number, gib, *place) for number, (gib, place) in enumerate(wanted)]


def _grown(disk: Any, gib: int) -> Any:
    """A copy: the template's description is shared by all threads.

    vCenter wants the backing whole and puts the clone's own file into it. A server that takes the template's literally makes
    a machine that shares it, which `disks` sees before that machine is deleted.
    """
    return vim.vm.device.VirtualDisk(
        key=disk.key,
        controllerKey=disk.controllerKey,
        unitNumber=disk.unitNumber,
        backing=disk.backing,
        deviceInfo=disk.deviceInfo,
        capacityInKB=gib * KIB_PER_GIB,
        capacityInBytes=gib * KIB_PER_GIB * 1024,
    )


def _new_disk(key: int, gib: int, controller: int, unit: int) -> Any:
    return vim.vm.device.VirtualDisk(
        key=key,
        controllerKey=controller,
        unitNumber=unit,
        capacityInKB=gib * KIB_PER_GIB,
        backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName="", diskMode="persistent", thinProvisioned=True),
    )


def _card_changes(session: Session, order: Order) -> Iterator[Any]:
    if not order.networks:
        return cards.keep(order.template.devices, order.mac_addresses[0])
    wanted = zip(order.networks, order.mac_addresses, strict=True)
    return cards.replace(session, order.template.devices, wanted)


def profile(order: Order) -> list[Any]:
    return [vim.vm.DefinedProfileSpec(profileId=order.policy)] if order.policy else []


def _located(order: Order, disk: Disk, datastore: Any) -> Any:
    """A disk of the template's, for which the policy must be said by itself."""
    move = LINKED if order.snapshot else None
    kind = vim.vm.RelocateSpec.DiskLocator
    return kind(diskId=disk.key, datastore=datastore, diskMoveType=move, profile=profile(order))


def _created(order: Order, disk: Any) -> Any:
    change = cards.change("add", disk)
    change.fileOperation, change.profile = "create", profile(order)
    return change
