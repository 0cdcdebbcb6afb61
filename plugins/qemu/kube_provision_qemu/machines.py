"""Making a machine's folder: complete, or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from pathlib import Path

from kube_provision_core import Boot, NetworkCard, NoCloudSeed, Node, Role, TargetError, node_card

from . import addresses, disks, record, static_addresses
from .config import QemuConfig
from .places import SEED, Places
from .record import Record
from .template import Template

SSH, API_SERVER, ETCD, DISCOVERY, DISCOVERY_TLS = 22, 6443, 2379, 8500, 8501

_PORTS = {Role.DISCOVERY: (SSH, DISCOVERY, DISCOVERY_TLS), Role.MASTER: (SSH, API_SERVER, ETCD), Role.WORKER: (SSH,)}
"""What the program and its user call from this host."""


def create(
    places: Places, image_tool: Path, template: Template, node: Node, boot: Boot, taken: Collection[str], config: QemuConfig
) -> Record:
    """Make the machine, powered off; the locks of the machine and of its network are held. Raises `TargetError` or OSError.

    `taken`: addresses of the cluster's other machines. `config`: its role's.
    """
    for problem in static_addresses.problems(places, [(node, config.networks or ())]):
        raise TargetError(f"{node.name} cannot be created: {problem}")
    made = _record(node, template, _address(node, config, taken), config)
    cards = list(zip(config.networks or [addresses.OWN], (mac for _, mac in made.cards), strict=True))
    network = addresses.network_text(made.address, cards, node.index, config.dns_servers)
    folder = places.draft(node.name)
    try:
        disks.create_overlay(image_tool, template, folder, node.machine.boot_disk_gib)
        for name, size_gib in zip(made.data_disks, node.machine.data_volumes_gib, strict=True):
            disks.create_blank(image_tool, folder / name, size_gib)
        NoCloudSeed(boot, network).write(folder / SEED)
        record.write(folder, made)
        folder.rename(places.machine(node.name))
    except BaseException:
        places.clear(node.name)
        raise
    return made


def _address(node: Node, config: QemuConfig, taken: Collection[str]) -> str:
    static_ip = config.node_static_ip
    if static_ip is None:
        return addresses.choose(node, taken)
    address = static_ip.address_of(node.index)
    if address is None:
        raise TargetError(f"{node.name}: static_ip of its network {config.node_network} has no address for it: add one")
    return str(address.ip)


def _record(node: Node, template: Template, address: str, config: QemuConfig) -> Record:
    networks: Sequence[NetworkCard] = config.networks or ()
    others = [card.name for card in networks if card.role != "node"]
    forwarded = () if config.node_network else (*_PORTS[node.role.kind], *config.forwarded_ports)
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
        ports=tuple(sorted({*forwarded})),
        data_disk_count=len(node.machine.data_volumes_gib),
        further_networks=tuple((name, addresses.mac(node.stamp.cluster_id, f"{node.name}/{name}")) for name in others),
        own_card=node_card(networks),
        node_network=config.node_network,
        static_addresses=static_addresses.given(networks, node.index),
    )
