"""What is written into a new machine's .vmx before it is started for the first time."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterator

from kube_provision_core import Boot, GuestInfo, Machine, Node

from . import stamp
from .vmx import Vmx

_FORGOTTEN = ("uuid.bios", "uuid.location", "vc.uuid", "vm.genid", "vm.genidx")
"""The template's identity. VMware makes up another one at power-on."""

_CARD = re.compile(r"(ethernet\d+)\.present")
_VMWARE_STATIC = "00:50:56"
"""Addresses from 00:50:56:00:00:00 to 00:50:56:3f:ff:ff are for those who choose them themselves."""


def of(vmx: Vmx, node: Node, boot: Boot, taken: Collection[str]) -> dict[str, str | None]:
    """Changes to the clone's settings that make it the node's machine. `taken` are hardware addresses that others bear."""
    return {
        **of_clone(vmx, node.name, node.machine, boot, taken),
        "annotation": stamp.note(node.stamp),
        stamp.STAMP: stamp.dump(node.name, node.stamp),
    }


def of_clone(vmx: Vmx, name: str, size: Machine, boot: Boot, taken: Collection[str]) -> dict[str, str | None]:
    """Changes that give a clone an identity and boot data of its own."""
    return {
        **dict.fromkeys(forgotten(vmx)),
        **dict.fromkeys(_FORGOTTEN),
        **_cards(vmx, taken),
        "uuid.action": "create",
        "displayName": name,
        "numvcpus": str(size.cpu),
        "cpuid.coresPerSocket": str(size.cpu),
        "memsize": str(size.memory_gib * 1024),
        # Nobody sees a question that VMware asks about a machine without a window.
        "msg.autoAnswer": "TRUE",
        # Disks show their identity in the machine, without which a storage driver (CSI) cannot tell them apart.
        "disk.EnableUUID": "TRUE",
        **GuestInfo(boot).values(),
    }


def disk(controller: str, unit: int, file_name: str) -> dict[str, str | None]:
    return {f"{controller}:{unit}.present": "TRUE", f"{controller}:{unit}.fileName": file_name}


def cards(vmx: Vmx) -> list[str]:
    """The network cards, `ethernet0` first."""
    found = [match[1] for name in vmx.names() if (match := _CARD.fullmatch(name)) and vmx.is_true(name)]
    return sorted(found)


def unplugged(vmx: Vmx) -> str:
    """The network card that leads nowhere from power-on on, where none leads anywhere; else empty."""
    unconnected = [card for card in cards(vmx) if vmx.get(f"{card}.startConnected").upper() == "FALSE"]
    return f"network card {unconnected[0]} is not connected" if unconnected and unconnected == cards(vmx) else ""


def forgotten(vmx: Vmx) -> Iterator[str]:
    """Names of what belongs to one life of a machine: its clones, and a template that was made of it, have none of it."""
    return (name for name in vmx.names() if name.startswith(("guestinfo.", "kube-provision.")))


def _cards(vmx: Vmx, taken: Collection[str]) -> dict[str, str | None]:
    changes: dict[str, str | None] = {}
    chosen = set(taken)
    for card in cards(vmx):
        address = _fresh_address(chosen)
        chosen.add(address)
        changes |= {
            f"{card}.addressType": "static",
            f"{card}.address": address,
            f"{card}.generatedAddress": None,
            f"{card}.generatedAddressOffset": None,
        }
    return changes


def _fresh_address(taken: Collection[str]) -> str:
    while True:
        tail = secrets.randbelow(0x40).to_bytes() + secrets.token_bytes(2)
        address = f"{_VMWARE_STATIC}:{tail.hex(':')}"
        if address not in taken:
            return address
