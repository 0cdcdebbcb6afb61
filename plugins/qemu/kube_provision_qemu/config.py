"""The QEMU driver's keys."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, ValidationInfo, model_validator

from kube_provision_core import (
    DriverConfig,
    LocalPath,
    NetworkCard,
    Networks,
    OnNodeNetwork,
    StaticIp,
    option,
    raise_faults,
    without_credentials,
)

from . import host_networks
from .addresses import NETWORK
from .baking.sources import CHECKSUM, DEBIAN, RELEASES, is_release, is_url
from .host_networks import wire_of
from .places import default_root

ROUTER_MTU = 1500
"""That of QEMU's user-mode networking."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")

Port = Annotated[int, Field(ge=1, le=65535)]


def _source(text: str, info: ValidationInfo) -> str:
    """A release and a URL as they are; a file by its absolute path."""
    release = DEBIAN.fullmatch(text)
    if release and release[1] not in RELEASES:
        raise ValueError(f"Debian {release[1]} is not built here; {' and '.join(RELEASES)} are")
    if release or is_url(text):
        return without_credentials()(text)
    if "://" in text:
        raise ValueError("must be a release such as debian-13, a file, or a URL (http:// or https://)")
    return str(TypeAdapter(LocalPath).validate_python(text, context=info.context))


def _on_wires(cards: list[NetworkCard]) -> list[NetworkCard]:
    has_own = not all(map(wire_of, cards))
    raise_faults(
        ((number, *([key] if key else [])), text)
        for number, card in enumerate(cards)
        for faults in (_name_faults(card), _own_faults(card, has_own=has_own), _lease_faults(card))
        for key, text in faults
    )
    return cards


def _name_faults(card: NetworkCard) -> Iterator[tuple[str, str]]:
    """By the key of the card that they are about, as all faults here; empty: all of it."""
    if host_networks.has_interface(card.name):
        if host_networks.kind_of(card.name) is None:
            yield "name", "must be bridge:, tap: or vmnet: with the name of an interface of this host, such as bridge:br0"
    elif card.name in host_networks.KINDS:
        yield "name", f"is a kind of networks of this host: say of which interface, as {card.name}:eth0"
    elif not _NAME.fullmatch(card.name):
        yield "name", "must be a DNS label of at most 32 characters, or such as bridge:br0"


def _own_faults(card: NetworkCard, *, has_own: bool) -> Iterator[tuple[str, str]]:
    """What does not go together with the cluster's own wire. `has_own`: whether the machine is on it."""
    if not wire_of(card):
        if card.static_ip:
            yield "static_ip", "addresses in the cluster's own network are chosen: remove it"
        astray = next((route.via for route in card.routes if route.via not in NETWORK), None)
        if astray:
            yield "routes", f"{astray} is not in {NETWORK}, which is the cluster's own"
        if card.mtu and card.mtu > ROUTER_MTU:
            yield "mtu", f"the way out takes packets of {ROUTER_MTU} bytes at most"
    elif has_own:
        if any(route.to.subnet_of(NETWORK) for route in card.routes):
            yield "routes", f"one leads into {NETWORK}, which is the cluster's own: remove it"
        if card.static_ip and any(network.overlaps(NETWORK) for network in card.static_ip.networks):
            yield "static_ip", f"lies in {NETWORK}, which is the cluster's own"


def _lease_faults(card: NetworkCard) -> Iterator[tuple[str, str]]:
    if card.static_ip or not wire_of(card):
        return
    if card.role == "node":
        yield "", "static_ip is missing: this host has nobody to ask which addresses its machines were leased"
    elif card.role == "storage" and not host_networks.has_interface(card.name):
        yield "", "static_ip is missing: nobody leases addresses in this network"


class QemuConfig(DriverConfig):
    template: LocalPath = option(
        per_role=True,
        example="debian-13.qcow2",
        help="Disk that machines start from: a qcow2 file made by `kube-provision bake`, or a cloud image in that format.",
    )
    bake_from: Annotated[str, AfterValidator(_source)] | None = option(
        None,
        asked=True,
        example="debian-13",
        help="What `bake` makes the template from: `debian-12` or `debian-13`, built from packages alone, or a cloud "
        "image's file or URL.",
    )
    bake_from_checksum: Annotated[str, StringConstraints(pattern=CHECKSUM)] | None = option(
        None, shown=False, help="`sha256:…` or `sha512:…` of that cloud image; a URL needs it."
    )
    vm_dir: LocalPath | None = option(
        None, help="Folder of the machines and their disks; unset: `kube-provision/qemu` in the user's data folder."
    )
    qemu_binary: str | None = option(
        None, min_length=1, help="Emulator, by name or path; unset: the one for this host's architecture."
    )
    qemu_firmware: LocalPath | None = option(
        None,
        help="Firmware that boots templates without a kernel of their own (`-bios`); unset: QEMU's, or for arm64 the UEFI "
        "that lies beside the emulator or where systems install it.",
    )
    qemu_accelerator: Literal["auto", "kvm", "hvf", "tcg"] = option(
        "auto", help="`kvm` or `hvf`, or `tcg` for plain emulation; `auto` takes what is seen to work."
    )
    forwarded_ports: list[Port] = option(
        [],
        per_role=True,
        help="More TCP ports of machines that this host can reach, besides SSH, the API server, etcd and discovery.",
    )

    networks: Annotated[Networks, AfterValidator(_on_wires)] | None = option(
        None,
        per_role=True,
        shown=False,
        example="[{name: cluster, role: node}, {name: san, role: storage, static_ip: {addresses: [10.9.0.11/24]}}]",
        help="Networks of machines with several cards, or in a network of this host, in the order of the cards: a DNS label "
        "is the cluster's own for the role `node`, else a wire of its own; `bridge:br0`, `tap:kp0` (Linux) and `vmnet:en0` "
        "(macOS) are networks of this host. These need `static_ip` for the role `node`, and wires for `storage`.",
    )
    dns_servers: list[OnNodeNetwork[IPv4Address | IPv6Address]] = option(
        [],
        per_role=True,
        shown=False,
        help="Name servers; unset: this host's on the cluster's own wire, none elsewhere.",
    )

    @model_validator(mode="after")
    def _checked_image(self) -> Self:
        source = self.bake_from or ""
        if is_url(source) and not self.bake_from_checksum:
            raise ValueError(
                "bake_from is a URL, and bake_from_checksum is missing: what comes through a network is checked"
            )
        if self.bake_from_checksum and (not source or is_release(source)):
            raise ValueError("bake_from_checksum is that of a cloud image, and bake_from names none")
        return self

    @model_validator(mode="after")
    def _checked_ports(self) -> Self:
        if self.forwarded_ports and self.node_network:
            text = f"machines in {self.node_network} have all their ports at their own addresses: remove it"
            raise_faults([(("forwarded_ports",), text)])
        return self

    @property
    def node_network(self) -> str:
        """The network of this host in which machines are nodes; empty: the cluster's own wire."""
        return next((wire_of(card) for card in self.networks or () if card.role == "node"), "")

    @property
    def node_static_ip(self) -> StaticIp | None:
        """Addresses of machines in that network; None on the cluster's own wire."""
        return next((card.static_ip for card in self.networks or () if card.role == "node"), None)

    @property
    def root(self) -> Path:
        return self.vm_dir or default_root(os.environ)
