"""Network cards of new machines and of templates: what changes them. Without a hardware address, vCenter chooses one."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from ..resources import Network
from .session import Session
from .vmomi import vim

MANUAL, ASSIGNED = "manual", "assigned"
"""Who chose a card's hardware address: somebody, whose choice a clone inherits; vCenter."""
NEW = -2
"""Key of the first new card; the others count down, far from where those of new disks begin."""


def change(operation: str, device: Any) -> Any:
    return vim.vm.device.VirtualDeviceSpec(operation=operation, device=device)


def cards(devices: Iterable[Any]) -> list[Any]:
    """The network cards in the order in which the guest numbers them."""
    found = [device for device in devices if isinstance(device, vim.vm.device.VirtualEthernetCard)]
    return sorted(found, key=lambda card: (card.unitNumber or 0, card.key))


def keep(devices: Iterable[Any], mac_address: str | None) -> Iterator[Any]:
    """What makes a template's cards, on their networks, a new machine's. `mac_address`: of the first one."""
    found = cards(devices)
    if mac_address:
        first, *found = found
        yield change("edit", _changed(first, addressType=MANUAL, macAddress=mac_address))
    yield from forget_addresses(found)


def replace(session: Session, devices: Iterable[Any], wanted: Iterable[tuple[Network, str | None]]) -> Iterator[Any]:
    """New cards on these networks, each with its hardware address, in place of all of a template's."""
    for card in cards(devices):
        yield change("remove", card)
    for number, (network, mac_address) in enumerate(wanted):
        yield change("add", _new_card(session, NEW - number, network, mac_address))


def forget_addresses(devices: Iterable[Any]) -> Iterator[Any]:
    """Where somebody chose a card's address, vCenter is to choose another: two machines with one address ruin both."""
    for card in cards(devices):
        if str(card.addressType).lower() == MANUAL:
            yield change("edit", _changed(card, addressType=ASSIGNED, macAddress=""))


def _changed(card: Any, **values: Any) -> Any:
    """A copy: the template's description is shared by all threads."""
    changed = copy.copy(card)
    changed.backing = _unplugged(card.backing)
    for name, value in values.items():
        setattr(changed, name, value)
    return changed


def _unplugged(backing: Any) -> Any:
    """The same network, at any port of its switch: the port that is written there is the template's own."""
    port = getattr(backing, "port", None)
    if port is None:
        return backing
    return type(backing)(port=vim.dvs.PortConnection(switchUuid=port.switchUuid, portgroupKey=port.portgroupKey))


def _new_card(session: Session, key: int, network: Network, mac_address: str | None) -> Any:
    card = vim.vm.device.VirtualVmxnet3(
        key=key,
        addressType="generated",
        wakeOnLanEnabled=True,
        backing=_backing(session, network),
        connectable=vim.vm.device.VirtualDevice.ConnectInfo(startConnected=True, connected=True, allowGuestControl=True),
    )
    if mac_address:
        card.addressType, card.macAddress = MANUAL, mac_address
    return card


def _backing(session: Session, network: Network) -> Any:
    card = vim.vm.device.VirtualEthernetCard
    if network.opaque:
        return card.OpaqueNetworkBackingInfo(opaqueNetworkId=network.opaque[0], opaqueNetworkType=network.opaque[1])
    if network.switch is None:
        return card.NetworkBackingInfo(deviceName=network.name, network=session.managed("Network", network.id))
    port = vim.dvs.PortConnection(switchUuid=network.switch, portgroupKey=network.id)
    return card.DistributedVirtualPortBackingInfo(port=port)
