"""What one run knows of its vCenter: the inventory, the placements of the roles, the machines. Made at the first hook."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from threading import Lock

from kube_provision_core import Boot, Machine, Node, Role, node_card

from . import naming, placement, stamp, tags
from .client.specification import Order
from .client.tags import read_categories
from .client.vcenter import Vcenter
from .config import VsphereConfig
from .fleet import Fleet
from .hardware_address import hardware_addresses
from .inventory import Inventory, Item
from .kind import Kind
from .placement import Placement
from .resources import Datastore, Tag, TagCategory
from .templates import Templates

NOTHING_SAID = {stamp.STATUS: "", stamp.SCRUBBED: ""}
"""A template that was made of a machine says of its clones that they have finished, and have no secrets."""

ENABLE_DISK_UUID = {"disk.enableUUID": "TRUE"}
"""Disks show their identity inside of the machine, without which the storage driver (CSI) cannot tell them apart."""

GIB = 1024**3


class Target:
    """Thread-safe. Methods raise `TargetError`, and `ConfigError` for names that cannot be resolved."""

    def __init__(self, config: Mapping[Role, VsphereConfig], threads: int) -> None:
        self.vcenter, self.config = Vcenter(config[Role.MASTER], threads), config
        self.fleet = Fleet(self.vcenter.machines, self.inventory, config)
        self.templates = Templates(self.vcenter, self.inventory, config)
        self._lock = Lock()
        self._inventory: Inventory | None = None
        self._placements: dict[Kind, Placement] = {}
        self._categories: tuple[TagCategory, ...] | None = None
        self._promised: dict[str, int] = {}
        """Bytes by datastore that machines of this run will take."""

    def inventory(self) -> Inventory:
        with self._lock:
            if self._inventory is None:
                paths = [path for config in self.config.values() for path in config.templates if path.startswith("/")]
                self._inventory = self.vcenter.inventory(self.config[Role.MASTER].datacenter, paths)
            return self._inventory

    def keys(self, kind: Kind) -> VsphereConfig:
        """The configuration of machines of a kind."""
        return self.config[kind.role].within(kind.domain)

    def apart(self, role: Role) -> bool:
        """Whether a role's machines are kept on different hosts."""
        return role is Role.MASTER or (role.kind is Role.WORKER and self.config[role].keep_workers_apart)

    def cluster(self, kind: Kind) -> Item:
        """The cluster of hosts on which machines of a kind run."""
        return naming.find_cluster(self.inventory(), self.keys(kind))

    def place(self, kinds: Collection[Kind]) -> Mapping[Kind, Placement]:
        """Where these kinds of machines go; what is not known yet is read in one call."""
        inventory = self.inventory()
        with self._lock:
            missing = [kind for kind in kinds if kind not in self._placements]
            if missing:
                found = placement.resolve(inventory, {kind: self.keys(kind) for kind in missing}, self.vcenter)
                self._placements.update(found)
            return dict(self._placements)

    def tags(self, role: Role) -> tuple[Tag, ...]:
        """The tags of a role's machines. vCenter is asked once, for all roles."""
        with self._lock:
            if self._categories is None:
                names = {name for config in self.config.values() for name in config.vm_tags}
                self._categories = read_categories(self.vcenter.rest, names) if names else ()
        return tags.find(self.config[role], self._categories)

    def order(self, node: Node, boot: Boot) -> Order:
        kind = Kind.of(node)
        place, config = self.place([kind])[kind], self.keys(kind)
        extra_config = {
            **NOTHING_SAID,
            stamp.STAMP: node.stamp.text,
            **ENABLE_DISK_UUID,
            stamp.ADDRESS: _static_address(node, config),
            stamp.CARD: _card(node, config),
            stamp.DOMAIN: kind.domain,
        }
        store, note = self._choose_datastore(place, node.machine), stamp.note(node.stamp)
        return place.order(node, boot, config, turn=_turn(node), datastore=store, note=note, extra_config=extra_config)

    def _choose_datastore(self, place: Placement, machine: Machine) -> str | None:
        """Of a datastore cluster, the one with the most room left after what this run has placed already."""
        if not place.datastores:
            return None
        boot_disk, *others = (disk.gib for disk in place.template.disks)
        size = (max(machine.boot_disk_gib or 0, boot_disk) + sum(others) + sum(machine.data_volumes_gib)) * GIB

        def room(store: Datastore) -> int:
            return store.free_bytes - self._promised.get(store.id, 0)

        with self._lock:
            chosen = max(place.datastores, key=room)
            self._promised[chosen.id] = self._promised.get(chosen.id, 0) + int(size)
        return chosen.id


def _static_address(node: Node, config: VsphereConfig) -> str:
    """Empty where DHCP decides; the key is then none."""
    address = config.node_static_ip.address_of(node.index) if config.node_static_ip else None
    return str(address.ip) if address else ""


def _card(node: Node, config: VsphereConfig) -> str:
    """Empty where there is one card alone."""
    return (hardware_addresses(node, config)[node_card(config.cards)] or "") if config.networks else ""


def _turn(node: Node) -> int:
    """Discovery machines begin with the last host, the others of each role with the first."""
    return -max(node.index, 1) if node.role is Role.DISCOVERY else node.index - 1
