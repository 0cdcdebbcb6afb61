"""Everything that can be known to go wrong before the first machine is cloned, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Interface, IPv6Address

from kube_provision_core import Boot, ConfigError, Node, Role, address_shortages

from . import guestinfo, privileges
from .hardware_address import hardware_addresses
from .kind import Kind
from .naming import WITH_RULES
from .placement import Placement
from .problems import Problems
from .target import Target

Machines = Sequence[tuple[Node, Boot]]

LARGEST_DISK = 62 * 1024
"""GiB; one of vSphere's configuration maximums."""


def problems(target: Target, machines: Machines) -> list[str]:
    """All of them at once. Raises `TargetError` for trouble on the way to vCenter."""
    found = [*_size_problems(target, machines)]
    found += _address_problems(target, machines, target.fleet.static_addresses())
    found += _hardware_problems(target, machines)
    found += _tag_problems(target, machines)
    try:
        places = target.place({Kind.of(node) for node, _ in machines})
    except ConfigError as error:
        return [*found, *error.problems]
    found += dict.fromkeys(_disk_problems(target, places, machines))
    return [*found, *_privilege_problems(target, places)]


def _size_problems(target: Target, machines: Machines) -> Iterator[str]:
    """Compressing a thousand machines' boot data takes seconds; the threads do it side by side."""

    def check(machine: tuple[Node, Boot]) -> list[str]:
        node, boot = machine
        return list(guestinfo.of(node, boot, target.keys(Kind.of(node))).problems(node.name, "vSphere"))

    with ThreadPoolExecutor(thread_name_prefix="compress") as pool:
        for lines in pool.map(check, machines):
            yield from lines


def _address_problems(target: Target, machines: Machines, given: Mapping[str, str]) -> Iterator[str]:
    """`given`: names of machines that there are, by their static address; one that is made anew gets its own back."""
    nodes = [node for node, _ in machines]
    for role in dict.fromkeys(node.role for node in nodes):
        config = target.config[role]
        yield from address_shortages([node for node in nodes if node.role is role], config.cards, config.called)
    made = {node.name for node in nodes}
    owners: dict[IPv4Address | IPv6Address, str] = {IPv4Address(it): name for it, name in given.items() if name not in made}
    for node in nodes:
        keys = target.keys(Kind.of(node))
        for number, card in enumerate(keys.cards):
            for address in card.static_ip.all_of(node.index) if card.static_ip else ():
                if address and (owner := owners.setdefault(address.ip, node.name)) != node.name:
                    both = f"{address} would be given to both {owner} and {node.name}"
                    yield f"{keys.called(number, 'static_ip')}: {both}; give each role, and pool, its own"


def _hardware_problems(target: Target, machines: Machines) -> Iterator[str]:
    """Different IPv4 addresses may lead to one hardware address, which no other card of a link or machine may have."""
    owners: dict[tuple[str, str | None], tuple[str, IPv4Interface]] = {}
    for node, _ in machines:
        keys = target.keys(Kind.of(node))
        chosen = hardware_addresses(node, keys)
        for number, (card, mac_address) in enumerate(zip(keys.cards, chosen, strict=True)):
            address = card.static_ip.address_of(node.index) if card.static_ip else None
            if address is None:
                continue
            key = keys.called(number, "static_ip")
            owner, its = owners.setdefault((card.name, mac_address), (node.name, address))
            if its.ip != address.ip:
                yield f"{key}: {address} of {node.name} ends with the same 22 bits as that of {owner}; choose another"
            elif chosen.count(mac_address) > 1:
                yield f"{key}: {address} ends with the same 22 bits as another address of {node.name}; choose another"


def _disk_problems(target: Target, places: Mapping[Kind, Placement], machines: Machines) -> Iterator[str]:
    for node, _ in machines:
        place, wanted = places[Kind.of(node)], node.machine.boot_disk_gib
        has = place.template.disks[0].gib
        if wanted is not None and wanted < has:
            yield (
                f"boot_disk_size: {wanted} GiB is less than the {has:g} GiB of template {place.template_path}; "
                "a disk only grows"
            )
        elif wanted is not None and wanted > has and target.keys(Kind.of(node)).linked_clone:
            yield (
                f"boot_disk_size: a linked clone keeps the {has:g} GiB of template {place.template_path}; "
                "unset the size, or set linked_clone: false"
            )
        further = node.machine.data_volumes_gib
        if fault := place.template.lack_of_room(further):
            yield f"{fault} ({place.template_path})"
        if max(further, default=0) > LARGEST_DISK:
            yield f"data_volumes: {max(further)} GiB is more than the {LARGEST_DISK} GiB that vSphere lets a disk have"


def _tag_problems(target: Target, machines: Machines) -> Sequence[str]:
    problems = Problems()
    for role in dict.fromkeys(node.role for node, _ in machines):
        with problems.collected(str(role)):
            target.tags(role)
    return problems.lines


def _privilege_problems(target: Target, places: Mapping[Kind, Placement]) -> Iterator[str]:
    needed: list[privileges.Needed] = []
    for kind, place in places.items():
        needed += privileges.needed(place, target.keys(kind))
        hosts = target.cluster(kind)
        if kind.role is not Role.MASTER and target.apart(kind.role) and hosts.kind == WITH_RULES:
            needed.append(((hosts.kind, hosts.id), privileges.FOR_GROUPS))
    yield from privileges.missing(target.vcenter, target.inventory(), needed)
    tagged = {place.folder for kind, place in places.items() if target.keys(kind).vm_tags}
    if tagged:  # by themselves: a vCenter that does not know one privilege tells nothing of the others
        for_tags = [(("Folder", folder), privileges.FOR_TAGS) for folder in sorted(tagged)]
        yield from privileges.missing(target.vcenter, target.inventory(), for_tags)
