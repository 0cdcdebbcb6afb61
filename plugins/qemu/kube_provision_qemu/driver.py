"""The QEMU driver: one hook a paragraph. A machine is a folder and, while it is powered on, a process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import ClassVar

from kube_provision_core import (
    PUBLISHER,
    Boot,
    BootError,
    BootFragment,
    Cluster,
    Component,
    File,
    Image,
    NoCloudSeed,
    Node,
    Power,
    Role,
    Stamp,
    TargetDriver,
    TargetError,
    Template,
    Vm,
    address_shortages,
    hookimpl,
    interface_name,
    node_card,
    replace_file,
    task_digest,
    telling_os_errors,
)

from . import addresses, command, disks, machines, power, record, status, template
from . import emulator as emulators
from .baking.templates import Templates
from .checks import check_architecture, family_problems, name_problems, node_network_problems, problems
from .config import QemuConfig
from .emulator import Emulator
from .network import Network
from .places import CONSOLE, SCRUBBED, SEED, STATUS, Places
from .power import Bounds, Sight
from .record import Record

log = logging.getLogger(__name__)

LOOKS = 8
"""Machines looked at side by side: each is a short talk over a socket."""

SEED_DISK = "/dev/disk/by-id/virtio-seed"
"""What a machine calls the seed, by the serial that `command` gives it."""

HOST_KEYS = {"ssh_genkeytypes": ["ed25519"]}
"""SSH's host keys. An emulated processor looks long for the primes of an RSA key, and no client needs one."""

BOOT, EMULATED_BOOT = 1800.0, 5400.0
"""Seconds for a whole boot. An emulated machine on a busy host was seen to take 15 minutes for its first word alone."""


class Qemu(TargetDriver):
    """Target `qemu`: machines on this host, without root. No I/O before the first hook."""

    Config = QemuConfig
    api_version = 1
    parallel = 4
    suggested_sizes: ClassVar[Mapping[Role, Mapping[str, int]]] = {
        Role.MASTER: {"count": 1, "cpu": 2, "mem": 3},
        Role.WORKER: {"count": 1, "cpu": 2, "mem": 2},
        Role.DISCOVERY: {"cpu": 1, "mem": 1},
    }
    answer_limit = 30 * 1024  # a guest's kernel takes 32 KiB in one write
    node_network = addresses.NETWORK

    bounds = Bounds()
    """Seconds for powering a machine off."""

    def __init__(self, config: Mapping[Role, QemuConfig]) -> None:
        self._config = config
        self._places = Places(config[Role.MASTER].root)
        self._finding = threading.Lock()
        self._templates = Templates(config[Role.MASTER].root, config, lambda: self._emulator)

    @property
    def boot_timeout(self) -> float:
        """Raises `TargetError` where there is no emulator."""
        return EMULATED_BOOT if self._emulator.emulates else BOOT

    @property
    def fixed_addresses(self) -> Mapping[Role, Sequence[str]]:
        known = {role: config.node_static_ip for role, config in self._config.items()}
        return {role: [str(it.ip) for it in static.addresses] for role, static in known.items() if static}

    @property
    def node_interfaces(self) -> Mapping[Role, str]:
        return {role: interface_name(node_card(it.networks)) for role, it in self._config.items() if it.networks}

    # --- creating --------------------------------------------------------------------------------------------------

    @hookimpl
    def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
        with telling_os_errors(f"{self._places.root} cannot be read"):
            return problems(self._places.root, self._config, lambda: self._emulator, [node for node, _ in machines])

    @hookimpl
    def provision_vm(self, node: Node, boot: Boot) -> Vm:
        with telling_os_errors(f"{node.name} cannot be created"), self._places.lock_machine(node.name):
            made = self._find(node) or self._create(node, boot)
            self._power_on(made)
            return self._vm(made, Sight(Power.ON))

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        cards, roles = self._config[node.role].networks or (), {node.role, *cluster.nodes.values()}
        for problem in (
            *address_shortages([node], cards, cluster=cluster),
            *name_problems(cluster.name, cards),
            *node_network_problems(self._config, roles),
            *(family_problems(self._config[node.role], cluster) if node.role is not Role.DISCOVERY else ()),
        ):
            raise BootError(problem)
        publish = resources.files(__package__).joinpath("node", "publish").read_text(encoding="utf-8")
        return BootFragment(
            components=frozenset({Component.QEMU_GUEST_AGENT}),
            files=(File(PUBLISHER, publish, mode=0o755), NoCloudSeed.receiver(SEED_DISK)),
            cloud_config=HOST_KEYS,
        )

    # --- observing -------------------------------------------------------------------------------------------------

    @hookimpl
    def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
        with telling_os_errors(f"{self._places.root} cannot be read"):
            found = {name: record.read(self._places.machine(name)) for name in self._places.names()}
            ours = [made for made in found.values() if made and made.stamp.cluster == cluster.name]
            others = [name for name in found.keys() & cluster.names if name not in {made.name for made in ours}]
            with ThreadPoolExecutor(LOOKS, thread_name_prefix="look") as pool:
                sights = list(pool.map(self._look, ours))
            self._heal(cluster.name, ours, sights)
            return [*map(self._vm, ours, sights), *(self._foreign(name, found[name]) for name in sorted(others))]

    def _look(self, made: Record) -> Sight:
        return power.look(made, self._places.machine(made.name))

    def _heal(self, cluster: str, ours: Sequence[Record], sights: Sequence[Sight]) -> None:
        """Bring the network back under machines that run. Where it cannot be, they can still be seen and destroyed."""
        running = [(made, sight) for made, sight in zip(ours, sights, strict=True) if sight.power is not Power.OFF]
        if not running:
            return
        cut_off = [self._places.machine(made.name) for made, sight in running if not sight.connected]
        try:
            with self._network(cluster) as network:
                there = self._by_folder(self._records(cluster))  # some may have been destroyed since they were looked at
                network.ensure(lambda: self._emulator, there, cut_off)
        except TargetError as problem:
            log.warning("the network of cluster %s is down: %s", cluster, problem)

    def _vm(self, made: Record, sight: Sight) -> Vm:
        folder = self._places.machine(made.name)
        on = sight.power is Power.ON
        return Vm(
            name=made.name,
            id=str(folder),
            power=sight.power,
            stamp=made.stamp,
            addresses=(made.address,) if on else (),
            status=status.last(folder / STATUS),
            scrubbed=(folder / SCRUBBED).exists(),
            where=str(folder),
            reach=self._network_of(made.stamp.cluster).reach(made.name) if on else {},
            on_since=power.on_since(folder) if on else None,
            console=str(folder / CONSOLE),
            task=task_digest(NoCloudSeed.waiting(folder / SEED)),
        )

    def _foreign(self, name: str, made: Record | None) -> Vm:
        """What bears a name that the cluster needs: another cluster's machine, or nothing of ours."""
        folder = str(self._places.machine(name))
        power_ = self._look(made).power if made else Power.OFF
        return Vm(name, folder, power_, made.stamp if made else None, where=folder)

    # --- changing --------------------------------------------------------------------------------------------------

    @hookimpl
    def start_vm(self, vm: Vm) -> bool:
        with telling_os_errors(f"{vm.name} cannot be started"), self._places.lock_machine(vm.name):
            self._power_on(self._check_stamp(vm, self._places.machine(vm.name)))
            return True

    def _power_on(self, made: Record) -> None:
        folder = self._places.machine(made.name)
        sight = power.look(made, folder)
        if sight.power is Power.OFF:
            self._start(made, folder)
        elif sight.power is Power.SUSPENDED:
            power.resume(made, folder)

    @hookimpl
    def scrub_boot(self, vm: Vm) -> bool:
        with telling_os_errors(f"{vm.name} cannot be scrubbed"), self._places.lock_machine(vm.name):
            folder = self._places.machine(vm.name)
            self._check_stamp(vm, folder)
            if not (folder / SCRUBBED).exists():
                NoCloudSeed.scrub(folder / SEED)
                replace_file(folder / SCRUBBED, b"")
            return True

    @hookimpl
    def restamp_vm(self, vm: Vm, stamp: Stamp) -> bool:
        with telling_os_errors(f"{vm.name} cannot be stamped"), self._places.lock_machine(vm.name):
            folder = self._places.machine(vm.name)
            made = self._check_stamp(vm, folder, stamp)
            record.write(folder, replace(made, stamp=stamp))
            return True

    @hookimpl
    def task_limit(self) -> int:
        return NoCloudSeed.TASK_LIMIT

    @hookimpl
    def deliver_task(self, vm: Vm, task: bytes | None) -> bool:
        with telling_os_errors(f"{vm.name} cannot be given a task"), self._places.lock_machine(vm.name):
            folder = self._places.machine(vm.name)
            self._check_stamp(vm, folder)
            NoCloudSeed.deliver(folder / SEED, task)
            return True

    @hookimpl
    def destroy_vm(self, vm: Vm) -> bool:
        with telling_os_errors(f"{vm.name} cannot be destroyed"), self._places.lock_machine(vm.name):
            folder = self._places.machine(vm.name)
            if not folder.exists():
                self._places.clear(vm.name)
                return True
            made = self._check_stamp(vm, folder)
            self._refuse_to_cut_off(folder)
            power.stop(made, folder, self.bounds)
            with self._network(made.stamp.cluster) as network:
                left = [other for other in self._records(made.stamp.cluster) if other.name != vm.name]
                network.release(left)  # before the machine is gone: nobody would look for what runs for it
                self._places.remove(vm.name, made.data_disks)
                network.close_ports(left)
            return True

    def _check_stamp(self, vm: Vm, folder: Path, *others: Stamp) -> Record:
        """`others`: stamps that will do as well."""
        made = record.read(folder)
        if made is None or made.stamp not in (vm.stamp, *others):
            raise TargetError(f"{folder} is not the machine that it was when it was looked at; it is left alone")
        return made

    def _refuse_to_cut_off(self, folder: Path) -> None:
        """Machines and templates may build on a disk in this folder: somebody has made a template of a machine."""
        found = {name: record.read(self._places.machine(name)) for name in self._places.names()}
        building = {name: made.template for name, made in found.items() if made and name != folder.name}
        building |= {f"template {config.template}": config.template for config in self._config.values()}
        cut_off = [name for name, disk in building.items() if disks.builds_on(disk, folder)]
        if cut_off:
            raise TargetError(
                f"{folder}: what is in it is needed by {', '.join(cut_off)}; it is left alone. Destroy or move those first"
            )

    # --- baking ----------------------------------------------------------------------------------------------------

    @hookimpl
    def list_templates(self, roles: frozenset[Role]) -> Sequence[Template]:
        return self._templates.look(roles)

    @hookimpl
    def bake_image(self, template: Template, image: Image) -> bool:
        self._templates.begin(template, image)
        return True

    @hookimpl
    def finish_image(self, template: Template) -> bool:
        self._templates.finish(template)
        return True

    # --- details ---------------------------------------------------------------------------------------------------

    def _find(self, node: Node) -> Record | None:
        """The node's machine if it exists. Raises `TargetError` where another one bears its name."""
        folder = self._places.machine(node.name)
        if not folder.exists():
            return None
        found = record.read(folder)
        wanted = node.stamp.cluster, node.stamp.cluster_id
        if found is None or (found.stamp.cluster, found.stamp.cluster_id) != wanted:
            raise TargetError(
                f"{folder} is not this cluster's machine; it is left alone. Move it away, or set another vm_dir"
            )
        return found

    def _create(self, node: Node, boot: Boot) -> Record:
        config = self._config[node.role]
        base = template.read(config.template)
        with self._network(node.stamp.cluster):
            taken = {made.address for made in self._records(node.stamp.cluster)}
            return machines.create(self._places, self._emulator.image_tool, base, node, boot, taken, config)

    def _start(self, made: Record, folder: Path) -> None:
        disks.check(self._emulator.image_tool, made, folder)
        base = template.read(made.template)
        check_architecture(base, self._emulator)
        with self._network(made.stamp.cluster) as network:
            network.ensure(lambda: self._emulator, self._by_folder(self._records(made.stamp.cluster)))
            uplink = network.uplink_arguments(folder, made)
        power.start(made, folder, command.machine(made, base, self._emulator, uplink))

    def _records(self, cluster: str) -> list[Record]:
        """The cluster's machines, powered on or not."""
        return [made for made in record.read_all(self._places) if made.stamp.cluster == cluster]

    def _by_folder(self, records: Sequence[Record]) -> dict[Path, Record]:
        return {self._places.machine(made.name): made for made in records}

    def _network_of(self, cluster: str) -> Network:
        return Network(self._places.network(cluster), cluster)

    @contextmanager
    def _network(self, cluster: str) -> Iterator[Network]:
        with self._places.lock_network(cluster):
            yield self._network_of(cluster)

    @property
    def _emulator(self) -> Emulator:
        """Looked for at the first question. Raises `TargetError`."""
        with self._finding:
            return self._found_emulator

    @cached_property
    def _found_emulator(self) -> Emulator:
        config = self._config[Role.MASTER]
        return emulators.find(config.qemu_binary, config.qemu_accelerator, config.qemu_firmware)
