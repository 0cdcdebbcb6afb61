"""Making a machine's folder: complete, or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from pathlib import Path

from kube_provision_core import Boot, NetworkCard, NoCloudSeed, Node, Role, node_card

from . import addresses, disks, record
from .emulator import Emulator
from .places import SEED, Places
from .record import Record
from .template import Template

SSH, API_SERVER, ETCD, DISCOVERY, DISCOVERY_TLS = 22, 6443, 2379, 8500, 8501

_PORTS = {Role.DISCOVERY: (SSH, DISCOVERY, DISCOVERY_TLS), Role.MASTER: (SSH, API_SERVER, ETCD), Role.WORKER: (SSH,)}
"""What the program and its user call from this host."""


def create(
    places: Places,
    emulator: Emulator,
    template: Template,
    node: Node,
    boot: Boot,
    *,
    taken: Collection[str],
    extra_ports: Collection[int],
    networks: Sequence[NetworkCard],
) -> Record:
    """Make the machine, powered off; the locks of the machine and of its network are held. Raises `TargetError` or OSError.

    `taken`: addresses of the cluster's other machines. `networks`: those of its cards; none: it has one, in the cluster's.
    """
    made = _record(node, template, addresses.choose(node, taken), extra_ports, networks)
    folder = places.draft(node.name)
    try:
        _fill(folder, emulator, template, node, boot, made, networks)
        folder.rename(places.machine(node.name))
    except BaseException:
        places.clear(node.name)
        raise
    return made


def _record(
    node: Node, template: Template, address: str, extra_ports: Collection[int], networks: Sequence[NetworkCard]
) -> Record:
    others = [card.name for card in networks if card.role != "node"]
    return Record(
        name=node.name,
        uuid=str(uuid.uuid4()),
        stamp=node.stamp,
        address=address,
        mac=addresses.mac(node.stamp.cluster_id, node.name),
        cpu=node.machine.cpu,
        memory_gib=node.machine.memory_gib,
        template=template.disk,
        fingerprint=template.fingerprint,
        ports=tuple(sorted({*_PORTS[node.role.kind], *extra_ports})),
        has_data_disk=node.machine.data_volume_gib is not None,
        further_networks=tuple((name, addresses.mac(node.stamp.cluster_id, f"{node.name}/{name}")) for name in others),
        own_card=node_card(networks),
    )


def _fill(
    folder: Path,
    emulator: Emulator,
    template: Template,
    node: Node,
    boot: Boot,
    made: Record,
    networks: Sequence[NetworkCard],
) -> None:
    disks.create_overlay(emulator.image_tool, template, folder, node.machine.boot_disk_gib)
    if node.machine.data_volume_gib is not None:
        disks.create_data_disk(emulator.image_tool, folder, node.machine.data_volume_gib)
    cards = list(zip(networks or [addresses.OWN], (mac for _, mac in made.cards), strict=True))
    NoCloudSeed(boot, addresses.network_text(made.address, cards, node.index)).write(folder / SEED)
    record.write(folder, made)
