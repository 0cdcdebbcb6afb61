"""What would stop machines from being created, found before the first one is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from kube_provision_core import (
    Cluster,
    NetworkCard,
    Node,
    Role,
    TargetError,
    host_memory,
    key_in_networks,
    static_ip_problems,
)

from . import files, host_networks, record, static_addresses, template
from .addresses import OWN
from .command import room_for_data_disks
from .config import QemuConfig
from .disks import GIB
from .emulator import Emulator
from .host_networks import wire_of
from .places import PID_FILE, Places
from .sockets import LONGEST_PATH
from .switch import SOCKET
from .template import Template

T = TypeVar("T")

SPACE_PER_MACHINE = 2 * GIB
"""Bytes that a machine writes in its first minutes: images that it unpacks, packages where its template has none."""


def problems(
    root: Path, config: Mapping[Role, QemuConfig], find_emulator: Callable[[], Emulator], nodes: Sequence[Node]
) -> list[str]:
    """One line each; none where everything is all right."""
    cards = [(node, config[node.role].networks or ()) for node in nodes]
    found = [*_space(root, len(nodes)), *_memory(Places(root), nodes)]
    found += [*static_ip_problems(cards), *static_addresses.problems(Places(root), cards)]
    found += (line for node in nodes for line in name_problems(node.stamp.cluster, config[node.role].networks or ()))
    found += node_network_problems(config, {node.role for node in nodes})
    found += _moved(Places(root), config, nodes)
    emulator = _ask(find_emulator, found)
    if emulator:
        _ask(lambda: emulator.accelerator, found)
        found += _host_network_problems(Places(root), emulator, config, nodes)
    for role in sorted({node.role for node in nodes}):
        base = _ask(partial(template.read, config[role].template), found)
        if base:
            found += _sizes(base, [node for node in nodes if node.role is role])
        found += _too_many_disks(config[role], [node for node in nodes if node.role is role])
        if base and emulator:
            _ask(partial(check_bootable, base, emulator), found)
    return list(dict.fromkeys(found))


def name_problems(cluster: str, cards: Sequence[NetworkCard]) -> Iterator[str]:
    """Names of networks that are too long beside the cluster's: a machine finds a network's switch by a path with both."""
    places = Places(Path("/"))
    for number, card in enumerate(cards):
        switch = places.network(f"{cluster}.{card.name}") / SOCKET
        too_many = len(os.path.relpath(switch, places.machine("any"))) - LONGEST_PATH
        if wire_of(card) and too_many > 0:
            most = len(cluster) + len(card.name) - too_many
            names = f"{card.name} and {cluster}, the cluster's name"
            yield (
                f"{key_in_networks(number, 'name')}: {names}, may have {most} characters together, for a socket's path has "
                f"both: shorten one by {too_many}"
            )


def node_network_problems(config: Mapping[Role, QemuConfig], roles: Iterable[Role]) -> Iterator[str]:
    """Roles whose machines would not meet, because they are nodes in different networks."""
    named = {config[role].node_network: role for role in sorted(roles, reverse=True)}
    if len(named) > 1:
        networks = " and ".join(f"that of role {role} is {_called(name)}" for name, role in sorted(named.items()))
        yield f"networks: all machines of a cluster are nodes in one network, and {networks}: name one for all roles"


def family_problems(config: QemuConfig, cluster: Cluster) -> Iterator[str]:
    """What keeps a machine of this role from having the addresses that all nodes of the cluster have."""
    if cluster.is_dual_stack and not config.node_network:
        yield (
            "pod_subnet: a dual-stack cluster needs machines with IPv6 addresses, and the cluster's own wire has only IPv4: "
            "let them be nodes in a network of this host (networks), where a router announces IPv6, or static_ip has "
            "ipv6_addresses"
        )


def _moved(places: Places, config: Mapping[Role, QemuConfig], nodes: Sequence[Node]) -> Iterator[str]:
    """Machines of the cluster that are there and are nodes in another network than those that are to be made."""
    found = record.read_all(places)
    for node in nodes:
        network = config[node.role].node_network
        for made in found:
            if (made.stamp.cluster, made.node_network != network) == (node.stamp.cluster, True):
                yield (
                    f"networks: {node.name} would be a node in another network ({_called(network)}) than {made.name} "
                    f"({_called(made.node_network)}), and not meet it: a cluster stays in the one that it was made in"
                )
                return


def _called(network: str) -> str:
    return network or "the cluster's own"


def _host_network_problems(
    places: Places, emulator: Emulator, config: Mapping[Role, QemuConfig], nodes: Sequence[Node]
) -> Iterator[str]:
    """Networks of this host that cannot be joined; one that the cluster has joined already is not tried."""
    tried: dict[str, list[str]] = {}
    for node in nodes:
        for number, card in enumerate(config[node.role].networks or ()):
            if files.holder(places.network(f"{node.stamp.cluster}.{card.name}") / PID_FILE) is None:
                if card.name not in tried:
                    tried[card.name] = list(host_networks.problems(emulator.binary, card.name))
                yield from (f"{key_in_networks(number, 'name')}: {line}" for line in tried[card.name])


def check_bootable(base: Template, emulator: Emulator) -> None:
    """Raise `TargetError` unless the emulator can boot the template."""
    check_architecture(base, emulator)
    if base.kernel is None:
        emulator.firmware()


def check_architecture(base: Template, emulator: Emulator) -> None:
    if base.architecture not in (None, emulator.architecture):
        raise TargetError(
            f"template {base.disk} is for {base.architecture}, and {emulator.binary} runs {emulator.architecture}: bake one "
            f"for {emulator.architecture}, or set qemu_binary to qemu-system-{base.architecture}, which emulates it slowly"
        )


def _ask(question: Callable[[], T], found: list[str]) -> T | None:
    try:
        return question()
    except TargetError as problem:
        found.append(str(problem))
        return None


def _space(root: Path, count: int) -> Iterator[str]:
    existing = next(path for path in (root, *root.parents) if path.exists())
    free, needed = shutil.disk_usage(existing).free, count * SPACE_PER_MACHINE
    if free < needed:
        yield (
            f"vm_dir: {root} has {free / GIB:.1f} GiB left, and {count} new machine(s) need {needed / GIB:.0f} at the "
            "least: free some, or name another folder"
        )


def _memory(places: Places, nodes: Sequence[Node]) -> Iterator[str]:
    """The machines that are to be made, beside all of this user's that run: of whatever cluster, and those that bake."""
    if nodes:
        yield from host_memory().problems(sum(node.machine.memory_gib for node in nodes), memory_in_use(places))


def memory_in_use(places: Places) -> int:
    """GiB that machines have which run now."""
    folders = [each.machine(name) for each in (places, places.baking) for name in each.names()]
    running = (record.read(folder) for folder in folders if files.holder(folder / PID_FILE) is not None)
    return sum(made.memory_gib for made in running if made)


def _too_many_disks(config: QemuConfig, nodes: Sequence[Node]) -> Iterator[str]:
    wanted, room = len(nodes[0].machine.data_volumes_gib), room_for_data_disks(len(config.networks or [OWN]))
    if wanted > room:
        yield f"data_volumes: {wanted} wanted, and a machine of QEMU has room for {room} more disks; give fewer"


def _sizes(base: Template, nodes: Sequence[Node]) -> Iterator[str]:
    size = nodes[0].machine.boot_disk_gib
    if size is not None and size * GIB < base.virtual_size:
        yield (
            f"boot_disk_size: {size} GiB is less than the {base.virtual_size / GIB:.1f} GiB of template {base.disk}, and "
            "a disk only grows"
        )
