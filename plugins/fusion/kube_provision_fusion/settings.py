"""What is written into a new machine's .vmx before it is started for the first time."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from kube_provision_core import Boot, GuestInfo, Machine, Node, network_config, node_card

from . import stamp
from .config import FusionConfig
from .host import Host
from .vmx import Vmx

_FORGOTTEN = ("uuid.bios", "uuid.location", "vc.uuid", "vm.genid", "vm.genidx")
"""The template's identity. VMware makes up another one at power-on."""

CARD = "kube-provision.card"
"""Of a machine with several cards, the one in the nodes' network."""
NOBODYS = "00:50:56:00:00:00"
"""A hardware address, where boot data is only measured: a machine's own are chosen when it is made."""

_OF_CARD = re.compile(r"ethernet\d+\.")
_CARD = re.compile(r"(ethernet\d+)\.present")
_VMWARE_STATIC = "00:50:56"
"""Addresses from 00:50:56:00:00:00 to 00:50:56:3f:ff:ff are for those who choose them themselves."""


def of(vmx: Vmx, node: Node, boot: Boot, taken: Collection[str], config: FusionConfig, host: Host) -> dict[str, str | None]:
    """Changes to the clone's settings that make it the node's machine. `taken` are hardware addresses that others bear."""
    return {
        **of_clone(vmx, node.name, node.machine, boot, taken),
        **(_several(vmx, node, boot, taken, config, host) if config.networks else {}),
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


def own_card(vmx: Vmx) -> str:
    """The card whose address is the machine's."""
    return vmx.get(CARD) or "ethernet0"


def unplugged(vmx: Vmx) -> str:
    """The network card that leads nowhere from power-on on, where none leads anywhere; else empty."""
    unconnected = [card for card in cards(vmx) if vmx.get(f"{card}.startConnected").upper() == "FALSE"]
    return f"network card {unconnected[0]} is not connected" if unconnected and unconnected == cards(vmx) else ""


def forgotten(vmx: Vmx) -> Iterator[str]:
    """Names of what belongs to one life of a machine: its clones, and a template that was made of it, have none of it."""
    return (name for name in vmx.names() if name.startswith(("guestinfo.", "kube-provision.")))


def _cards(vmx: Vmx, taken: Collection[str]) -> dict[str, str | None]:
    changes: dict[str, str | None] = {}
    for card, address in zip(cards(vmx), _fresh_addresses(taken), strict=False):
        changes |= {
            f"{card}.addressType": "static",
            f"{card}.address": address,
            f"{card}.generatedAddress": None,
            f"{card}.generatedAddressOffset": None,
        }
    return changes


def _several(
    vmx: Vmx, node: Node, boot: Boot, taken: Collection[str], config: FusionConfig, host: Host
) -> dict[str, str | None]:
    """New cards, of the kind of the template's first one, in place of all that it has; and what the machine is told."""
    kind = next((vmx.get(f"{card}.virtualDev") for card in cards(vmx)), "vmxnet3")
    changes: dict[str, str | None] = dict.fromkeys(name for name in vmx.names() if _OF_CARD.match(name))
    wanted = config.networks or []
    addresses = list(islice(_fresh_addresses(taken), len(wanted)))
    for number, (card, address) in enumerate(zip(wanted, addresses, strict=True)):
        changes |= _new_card(f"ethernet{number}", card.name, address, kind, host)
    return {
        **changes,
        CARD: f"ethernet{node_card(wanted)}",
        **guest_info(node, boot, config, addresses).values(),
    }


def _new_card(card: str, network: str, address: str, kind: str, host: Host) -> dict[str, str | None]:
    own = network.startswith("vmnet")
    return {
        f"{card}.present": "TRUE",
        f"{card}.startConnected": "TRUE",
        **({f"{card}.virtualDev": kind} if kind else {}),
        f"{card}.connectionType": "custom" if own else network,
        **({f"{card}.vnet": f"{host.networks_below}{network}"} if own else {}),
        f"{card}.addressType": "static",
        f"{card}.address": address,
    }


def guest_info(node: Node, boot: Boot, config: FusionConfig, addresses: Sequence[str] = ()) -> GuestInfo:
    """Boot data with the network of a machine that has several cards; `addresses`: these cards' hardware addresses."""
    cards = config.networks or ()
    told = network_config(zip(cards, addresses or [NOBODYS] * len(cards), strict=True), node.index)
    return GuestInfo(boot, {"network": told} if told else {})


def _fresh_addresses(taken: Collection[str]) -> Iterator[str]:
    """As many as are asked for, none twice."""
    chosen = set(taken)
    while True:
        tail = secrets.randbelow(0x40).to_bytes() + secrets.token_bytes(2)
        address = f"{_VMWARE_STATIC}:{tail.hex(':')}"
        if address not in chosen:
            chosen.add(address)
            yield address
