"""The QEMU driver: one hook a paragraph. A machine is a folder and, while it is powered on, a process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from importlib import resources
from pathlib import Path

from kube_provision_core import (
    PUBLISHER,
    Boot,
    BootFragment,
    Cluster,
    File,
    Image,
    Node,
    Power,
    Role,
    TargetError,
    Template,
    Vm,
    hookimpl,
    replace_file,
    telling_os_errors,
)

from . import command, disks, machines, power, record, seed, status, template
from . import emulator as emulators
from .baking.templates import Templates
from .checks import check_architecture, problems
from .config import QemuConfig
from .emulator import Emulator
from .network import Network
from .places import SCRUBBED, SEED, STATUS, Places
from .power import Bounds, Sight
from .record import Record

log = logging.getLogger(__name__)

LOOKS = 8
"""Machines looked at side by side: each is a short talk over a socket."""


class Qemu:
    """Target `qemu`: machines on this host, without root. No I/O before the first hook."""

    Config = QemuConfig
    api_version = 1
    parallel = 4

    bounds = Bounds()
    """Seconds for powering a machine off."""

    def __init__(self, config: Mapping[Role, QemuConfig]) -> None:
        self._config = config
        self._places = Places(config[Role.MASTER].root)
        self._finding = threading.Lock()
        self._templates = Templates(config[Role.MASTER].root, config, lambda: self._emulator)

    # --- creating --------------------------------------------------------------------------------------------------

    @hookimpl
    def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
        return problems(self._places.root, self._config, lambda: self._emulator, [node for node, _ in machines])

    @hookimpl
    def provision_vm(self, node: Node, boot: Boot) -> Vm:
        with telling_os_errors(f"{node.name} cannot be created"), self._places.lock_machine(node.name):
            made = self._find(node) or self._create(node, boot)
            folder = self._places.machine(node.name)
            sight = power.look(made, folder)
            if sight.power is Power.OFF:
                self._start(made, folder)
            elif sight.power is Power.SUSPENDED:
                power.resume(made, folder)
            return self._vm(made, Sight(Power.ON))

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        publish = resources.files(__package__).joinpath("node", "publish").read_text(encoding="utf-8")
        return BootFragment(components=frozenset({"qemu-guest-agent"}), files=(File(PUBLISHER, publish, mode=0o755),))

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
                network.ensure(lambda: self._emulator, self._by_folder(ours), cut_off)
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
        )

    def _foreign(self, name: str, made: Record | None) -> Vm:
        """What bears a name that the cluster needs: another cluster's machine, or nothing of ours."""
        folder = str(self._places.machine(name))
        power_ = self._look(made).power if made else Power.OFF
        return Vm(name, folder, power_, made.stamp if made else None, where=folder)

    # --- changing --------------------------------------------------------------------------------------------------

    @hookimpl
    def scrub_boot(self, vm: Vm) -> bool:
        with telling_os_errors(f"{vm.name} cannot be scrubbed"), self._places.lock_machine(vm.name):
            folder = self._places.machine(vm.name)
            self._check_stamp(vm, folder)
            if not (folder / SCRUBBED).exists():
                seed.scrub(folder / SEED)
                replace_file(folder / SCRUBBED, b"")
            return True

    @hookimpl
    def destroy_vm(self, vm: Vm) -> bool:
        with telling_os_errors(f"{vm.name} cannot be destroyed"), self._places.lock_machine(vm.name):
            folder = self._places.machine(vm.name)
            if not folder.exists():
                self._places.clear(vm.name)
                return True
            made = self._check_stamp(vm, folder)
            power.stop(made, folder, self.bounds)
            with self._network(made.stamp.cluster) as network:
                self._places.remove(vm.name)
                network.release(self._records(made.stamp.cluster))
            return True

    def _check_stamp(self, vm: Vm, folder: Path) -> Record:
        made = record.read(folder)
        if made is None or made.stamp != vm.stamp:
            raise TargetError(f"{folder} is not the machine that it was when it was looked at; it is left alone")
        return made

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
            return machines.create(
                self._places, self._emulator, base, node, boot, taken=taken, extra_ports=config.forwarded_ports
            )

    def _start(self, made: Record, folder: Path) -> None:
        disks.check(self._emulator.image_tool, made, folder)
        base = template.read(made.template)
        check_architecture(base, self._emulator)
        with self._network(made.stamp.cluster) as network:
            network.ensure(lambda: self._emulator, self._by_folder(self._records(made.stamp.cluster)))
            uplink = network.uplink_arguments(folder)
        power.start(made, folder, command.machine(made, base, self._emulator, uplink))

    def _records(self, cluster: str) -> list[Record]:
        """The cluster's machines, powered on or not."""
        found = (record.read(self._places.machine(name)) for name in self._places.names())
        return [made for made in found if made and made.stamp.cluster == cluster]

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
        return emulators.find(config.qemu_binary, config.qemu_accelerator)
