"""What would stop machines from being created, found before the first one is."""

from __future__ import annotations

import math
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from kube_provision_core import (
    UNFINISHED,
    Boot,
    Machine,
    Node,
    Role,
    TargetError,
    address_shortages,
    host_memory,
    key_in_networks,
    static_ip_problems,
)

from . import disks, settings, template
from .config import CloneType, FusionConfig, network_number
from .disks import GIB, DiskManager
from .host import Host
from .machines import locks
from .template import Template
from .vmrun import Vmrun
from .vmx import Vmx
from .vmx import read as read_vmx

Machines = Sequence[tuple[Node, Boot]]

LINKED_BYTES = 2 * GIB
"""What a linked clone takes while its node is installed."""

_SUSPENDED = "checkpoint.vmState"


def problems(host: Host, config: Mapping[Role, FusionConfig], vmrun: Vmrun, machines: Machines) -> list[str]:
    """All of them at once. Raises `TargetError` when vmrun is there and does not answer."""
    found = [
        line
        for node, boot in machines
        if not any(address_shortages([node], config[node.role].networks or ()))
        for line in settings.guest_info(node, boot, config[node.role]).problems(node.name, "VMware")
    ]
    found += static_ip_problems((node, config[node.role].networks or ()) for node, _ in machines)
    found += dict.fromkeys(_network_problems(host, config, machines))
    missing = absence(vmrun)
    found += missing
    run = [] if missing else vmrun.running_files()
    running = frozenset(map(host.normal, run))
    with_its_cards = {config[node.role].template for node, _ in machines if not config[node.role].networks}
    templates: dict[Path, Template] = {}
    for file in dict.fromkeys(config[node.role].template for node, _ in machines):
        try:
            templates[file] = template.read(file)
        except TargetError as problem:
            bakes = config[Role.MASTER].bake_from is not None and not file.exists()
            found.append(f"template: {problem}{'; kube-provision bake makes it' if bakes else ''}")
        else:
            lines = template_problems(templates[file], host, running, cards=file in with_its_cards)
            found += told(f"template: {file}: {line}" for line in lines)
    found += told(_folder_problems(config, templates, machines))
    found += memory_problems(sum(node.machine.memory_gib for node, _ in machines), run)
    found += dict.fromkeys(told(_size_problems(config, templates, machines)))
    if not missing:
        found += _disk_manager_problems(vmrun, machines)
        found += dict.fromkeys(_snapshot_problems(vmrun, config, templates, machines))
    return found


def _network_problems(host: Host, config: Mapping[Role, FusionConfig], machines: Machines) -> Iterator[str]:
    """Network 0 is the bridged one, and stands in no file."""
    known = host.network_numbers()
    for role in dict.fromkeys(node.role for node, _ in machines):
        for number, card in enumerate(config[role].networks or ()):
            if known and card.name.startswith("vmnet") and network_number(card.name) not in {0, *known}:
                has = ", ".join(f"vmnet{each}" for each in sorted(known))
                yield f"{key_in_networks(number, 'name')}: VMware has no network {card.name}; {host.networks} has: {has}"


def absence(vmrun: Vmrun) -> list[str]:
    """A line where vmrun is not there."""
    try:
        _ = vmrun.program
    except TargetError as problem:
        return [str(problem)]
    return []


def told(lines: Iterable[str]) -> list[str]:
    """The lines; what must not even be looked at is one more."""
    found: list[str] = []
    try:
        found.extend(lines)
    except OSError as problem:
        found.append(f"{problem.filename}: cannot be looked at: {problem.strerror}")
    return found


# --- templates -----------------------------------------------------------------------------------------------------


def template_problems(each: Template, host: Host, running: frozenset[str], *, cards: bool = True) -> Iterator[str]:
    """What keeps a machine from being cloned. `cards`: clones have those of the template."""
    vmx = each.vmx
    if _is_encrypted(vmx):
        yield "it is encrypted, so that vmrun cannot clone it; decrypt it in VMware's settings"
        return
    if vmx.repeated:
        yield f"these settings stand in it more than once, so that VMware does not read it: {', '.join(vmx.repeated)}"
    if vmx.get(_SUSPENDED):
        yield "it is suspended; resume it and shut it down"
    if host.normal(each.file) in running:
        yield "it is running; shut it down"
    else:
        yield from _lock_problems(each)
    yield from _architecture_problems(vmx, host)
    if cards and not settings.cards(vmx):
        yield "it has no network card"
    elif cards and (problem := settings.unplugged(vmx)):
        yield f"its {problem}: connect it in VMware's settings"
    if not each.disks:
        yield "it has no disk"
    for disk in each.disks:
        yield from _disk_problem(disk.file)


def _disk_problem(file: Path) -> Iterator[str]:
    """It, or what it builds on, is not there."""
    above, seen = file, set[Path]()
    while file.exists() and file not in seen:
        seen.add(file)
        try:
            below = disks.below(file)
        except TargetError as problem:
            yield str(problem)
            return
        if below is None:
            return
        above, file = file, below
    yield f"its disk {file} is missing" if above == file else f"its disk {above} builds on {file}, which is missing"


def _is_encrypted(vmx: Vmx) -> bool:
    return any(name.startswith("encryption.") for name in vmx.names())


def _lock_problems(each: Template) -> Iterator[str]:
    if found := locks(each.file.parent):
        yield (
            f"it is locked by {', '.join(found)}. Close it in VMware; if no VMware program has it open, a crash left the "
            "lock, and it can be deleted"
        )


def _architecture_problems(vmx: Vmx, host: Host) -> Iterator[str]:
    guest = "arm64" if vmx.get("guestOS").lower().startswith("arm") else "x86_64"
    if guest != host.architecture:
        yield f"its system (guestOS {vmx.get('guestOS')}) is for {guest}, and this computer runs {host.architecture} only"


# --- folder and sizes ----------------------------------------------------------------------------------------------


def _folder_problems(
    config: Mapping[Role, FusionConfig], templates: Mapping[Path, Template], machines: Machines
) -> Iterator[str]:
    folder = config[Role.MASTER].vm_dir
    if not folder.is_dir():
        yield f"vm_dir: there is no folder {folder}; create it"
        return
    if problem := writing_problem("vm_dir", folder):
        yield problem
        return
    needed = sum(_bytes(config[node.role], templates.get(config[node.role].template)) for node, _ in machines)
    free = shutil.disk_usage(folder).free
    if needed > free:
        yield (
            f"vm_dir: {free / GIB:.1f} GiB are free in {folder}, and {len(machines)} machines take at least "
            f"{needed / GIB:.1f} GiB"
        )


def memory_problems(new_gib: int, running: Iterable[Path]) -> Iterator[str]:
    """`running`: .vmx files of all machines that run, whosever they are."""
    if new_gib:
        yield from host_memory().problems(new_gib, math.ceil(sum(map(_memory_mib, running)) / 1024))


def _memory_mib(file: Path) -> int:
    """0 for one that must not be read."""
    try:
        return int(read_vmx(file).get("memsize"))
    except (TargetError, ValueError):
        return 0


def writing_problem(key: str, folder: Path) -> str | None:
    """Why nothing can be made in the folder that `key` names; None where it can."""
    probe = folder / f"{UNFINISHED}{secrets.token_hex(6)}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as problem:
        return f"{key}: nothing can be made in {folder}: {problem.strerror}"
    return None


def _bytes(config: FusionConfig, each: Template | None) -> int:
    """What a new machine takes at once, at least."""
    if each is None or config.clone_type is CloneType.LINKED:
        return LINKED_BYTES
    return each.allocated()


def _size_problems(
    config: Mapping[Role, FusionConfig], templates: Mapping[Path, Template], machines: Machines
) -> Iterator[str]:
    for node, _ in machines:
        each = templates.get(config[node.role].template)
        if each and each.disks and each.disks[0].file.exists():
            try:
                yield from _size_problem(node.machine, each, config[node.role].clone_type)
            except TargetError as problem:
                yield f"template: {problem}"


def _size_problem(machine: Machine, each: Template, clone_type: CloneType) -> Iterator[str]:
    has, wanted = disks.capacity(each.disks[0].file) / GIB, machine.boot_disk_gib
    if wanted is not None and wanted < has:
        yield f"boot_disk_size: {wanted} GiB is less than the {has:g} GiB of {each.file}; a disk only grows"
    elif wanted is not None and wanted > has and clone_type is CloneType.LINKED:
        yield (
            f"boot_disk_size: a linked clone keeps the {has:g} GiB of {each.file}; unset the size, or set clone_type: full"
        )
    try:
        disks.free_units(each.vmx, each.disks[0], len(machine.data_volumes_gib))
    except TargetError as problem:
        yield str(problem)
    largest = max(machine.data_volumes_gib, default=0)
    if largest > disks.LARGEST:
        yield f"data_volumes: {largest} GiB is more than the {disks.LARGEST} GiB that VMware lets a disk have"


# --- what only vmrun knows -----------------------------------------------------------------------------------------


def _disk_manager_problems(vmrun: Vmrun, machines: Machines) -> Iterator[str]:
    keys = {
        key
        for node, _ in machines
        for key, size in (("boot_disk_size", node.machine.boot_disk_gib), ("data_volumes", node.machine.data_volumes_gib))
        if size
    }
    if keys:
        try:
            DiskManager(vmrun.program).find()
        except TargetError as problem:
            yield f"{', '.join(sorted(keys))}: {problem}"


def _snapshot_problems(
    vmrun: Vmrun, config: Mapping[Role, FusionConfig], templates: Mapping[Path, Template], machines: Machines
) -> Iterator[str]:
    for role in dict.fromkeys(node.role for node, _ in machines):
        file, snapshot = config[role].template, config[role].snapshot
        if snapshot and file in templates and not _is_encrypted(templates[file].vmx):
            there = vmrun.snapshots(template.real(file))
            if snapshot not in there:
                yield f"snapshot: {file} has no snapshot {snapshot}; it has {', '.join(there) or 'none'}"
