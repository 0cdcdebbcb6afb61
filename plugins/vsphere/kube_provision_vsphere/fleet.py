"""The machines of a run: found, made, taken over, scrubbed and destroyed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from kube_provision_core import (
    Cluster,
    GuestInfo,
    MachineAddresses,
    Node,
    NodeStatus,
    Power,
    Role,
    Stamp,
    TargetError,
    Vm,
    task_digest,
)

from . import stamp
from .addresses import judge
from .config import VsphereConfig
from .inventory import Inventory, Item
from .kind import Kind

if TYPE_CHECKING:
    from .client.machines import Machines
    from .client.sightings import Sighting
    from .client.specification import Order

log = logging.getLogger(__name__)

SCAN_SECONDS = 30.0
"""How long a look at the whole datacenter is good for. Between two of them only the machines that matter are looked at:
what others make meanwhile under one of our names is noticed at the latest when vCenter refuses the name."""


class Fleet:
    """Thread-safe. Every method raises `TargetError`."""

    def __init__(self, machines: Machines, inventory: Callable[[], Inventory], config: Mapping[Role, VsphereConfig]) -> None:
        self._machines, self._inventory, self._config = machines, inventory, config
        self._lock = Lock()
        self._scanned: float | None = None
        self._known: dict[str, tuple[str, Stamp | None]] = {}
        """Name and stamp of every machine of the datacenter, by id; of a copy, the stamp of what it was copied from."""
        self._copies: set[str] = set()
        """Ids of machines that are copies of stamped ones."""
        self._seen: dict[str, Sighting] = {}
        """Machines that are complete, as last seen."""
        self._addresses: dict[str, MachineAddresses] = {}
        """Of the machines that have one: what guest tools report of them is read again at the next scan only."""
        self._going: set[str] = set()
        """Ids of machines that are being destroyed, of those that a rule keeps apart."""

    def look(self, cluster: Cluster) -> tuple[Vm, ...]:
        """The cluster's machines, and any that bear one of its names: one call, another one when a scan is due."""
        self._scan_when_due()
        with self._lock:
            ids = [item for item, (name, found) in self._known.items() if _concerns(cluster, name, found)]
            unknown = [item for item in ids if item not in self._seen]
            known = [self._seen[item] for item in ids if item in self._seen and item not in self._addresses]
            settled = [self._seen[item] for item in ids if item in self._seen and item in self._addresses]
        sightings = self._machines.look(unknown, known, settled)
        self._note(ids, sightings)
        return tuple(sorted((self._vm(one, cluster) for one in sightings if one.complete), key=lambda vm: vm.name))

    def static_addresses(self) -> Mapping[str, str]:
        """Names of the machines that were looked at and have one, by that."""
        with self._lock:
            return {one.expected: one.name for one in self._seen.values() if one.expected}

    def provision(self, node: Node, order: Callable[[], Order]) -> Vm:
        """The machine of that name: taken over where it exists with our stamp, else cloned as ordered."""
        from .client.faults import VcenterError
        from .client.sightings import Sighting

        self._scan_when_due(first_only=True)
        with self._lock:
            namesakes = [item for item, (name, _) in self._known.items() if name == node.name]
        existing = self._take_over(node, namesakes)
        if existing:
            return existing
        wanted = order()
        try:
            machine = self._machines.clone(wanted)
        except VcenterError as error:
            if error.kind != "DuplicateName" or error.object_id is None:
                raise
            existing = self._take_over(node, [error.object_id])
            if existing is None:  # a folder bears the name, or the machine's own making failed meanwhile
                raise
            return existing
        expected, card = wanted.extra_config.get(stamp.ADDRESS) or None, wanted.extra_config.get(stamp.CARD, "")
        domain = Kind.of(node).domain
        made = Sighting(
            machine, node.name, wanted.folder, True, node.stamp.text, expected=expected, card=card, domain=domain
        )
        self._remember(made, node.stamp)
        where = f"{self._inventory().path(wanted.folder)}/{node.name}"
        return Vm(node.name, machine, Power.ON, node.stamp, where=where, failure_domain=domain)

    def start(self, vm: Vm) -> None:
        if self._own(vm, "start").power is not Power.ON:
            self._machines.power_on(vm.name, vm.id)

    def scrub(self, vm: Vm) -> None:
        found = self._own(vm, "scrub", user_data=True)
        if found.power is Power.ON and not found.emptied:
            log.warning(GuestInfo.NOT_EMPTIED, vm.name)
        values = {**GuestInfo.scrubbed(), stamp.SCRUBBED: "true"}
        self._machines.set_options(vm.name, vm.id, values, "replace the boot data")
        with self._lock:
            if vm.id in self._seen:
                self._seen[vm.id] = replace(self._seen[vm.id], marked=True)

    def deliver(self, vm: Vm, task: bytes | None) -> None:
        """The task, and which one it is, in one step: nobody sees the one without the other."""
        value, digest = GuestInfo.task(task), task_digest(task or b"")
        self._own(vm, "give a task to")
        self._machines.set_options(vm.name, vm.id, {GuestInfo.TASK: value, stamp.TASK: digest}, "change the task that waits")

    def restamp(self, vm: Vm, its_stamp: Stamp) -> None:
        self._own(vm, "stamp", its_stamp)
        self._machines.set_options(vm.name, vm.id, {stamp.STAMP: its_stamp.text}, "rewrite the stamp")
        with self._lock:
            self._known[vm.id] = (vm.name, its_stamp)
            if vm.id in self._seen:
                self._seen[vm.id] = replace(self._seen[vm.id], stamp=its_stamp.text)

    def destroy(self, vm: Vm) -> None:
        """Nothing to do is fine; another stamp than the given one is not."""
        from .client.faults import VcenterError

        found = self._machines.look([vm.id])
        if found:
            self._check_stamp(vm, found[0])
            try:
                self._machines.destroy(vm.name, vm.id, running=found[0].power is not Power.OFF)
            except VcenterError as error:
                if error.kind != "ManagedObjectNotFound":
                    raise
        self._note([vm.id], [])

    def others_alike(self, vm: Vm) -> dict[str, str]:
        """Failure domains, by id, of the other machines of its cluster and role that are not being destroyed."""
        self._scan_when_due(first_only=True)
        with self._lock:
            self._going.add(vm.id)
            alike = [
                item
                for item, (_, found) in self._known.items()
                if item not in self._going | self._copies
                and found
                and vm.stamp
                and (found.cluster_id, found.role) == (vm.stamp.cluster_id, vm.stamp.role)
            ]
            known = {item: self._seen[item].domain for item in alike if item in self._seen}
        unseen = self._machines.look([item for item in alike if item not in known])
        return known | {one.id: one.domain for one in unseen}

    def _own(self, vm: Vm, what: str, *others: Stamp, user_data: bool = False) -> Sighting:
        """The machine as it is now. `others`: stamps that it may have as well."""
        found = self._machines.identity(vm.id, user_data=user_data)
        if found is None:
            raise TargetError(f"{vm.where or vm.name}: this machine is gone; there is nothing to {what}")
        self._check_stamp(vm, found, *others)
        return found

    def _check_stamp(self, vm: Vm, seen: Sighting, *others: Stamp) -> None:
        if vm.stamp is None or _own_stamp(seen) not in (vm.stamp, *others):
            raise TargetError(f"{self._where(seen)}: its stamp is not the one that was observed; it is left alone")

    def _take_over(self, node: Node, ids: Collection[str]) -> Vm | None:
        """The machine that exists already, powered on; None if there is none. Raises for one that is not ours."""
        foreign: Sighting | None = None
        for seen in self._machines.look_when_made(node.name, ids):
            found = _own_stamp(seen)
            if found is None or found.cluster_id != node.stamp.cluster_id:
                foreign = seen
                continue
            if seen.power is not Power.ON:
                self._machines.power_on(node.name, seen.id)
            self._remember(seen, node.stamp)
            return Vm(seen.name, seen.id, Power.ON, found, scrubbed=seen.scrubbed, where=self._where(seen))
        if foreign:
            raise TargetError(
                f"{self._where(foreign)}: this machine bears the name {node.name} and is not one of cluster "
                f"{node.stamp.cluster}'s; it is left alone. Rename it, or choose another name for the cluster"
            )
        return None

    def _scan_when_due(self, *, first_only: bool = False) -> None:
        with self._lock:
            due = self._scanned is None or (not first_only and monotonic() - self._scanned > SCAN_SECONDS)
            if due:
                self._scan()

    def _scan(self) -> None:
        """Only under the lock."""
        inventory = self._inventory()
        if self._scanned is None and monotonic() - inventory.read_at < SCAN_SECONDS:
            self._scanned = inventory.read_at  # reading the names has shown all machines already
            seen: Iterable[Item | Sighting] = [item for item in inventory.items.values() if item.kind == "VirtualMachine"]
        else:
            self._scanned = monotonic()
            seen = self._machines.scan(inventory.top("vm").id)
        seen = list(seen)
        self._known = {one.id: (one.name, Stamp.parse(one.stamp)) for one in seen}
        self._copies = {one.id for one in seen if one.copy}
        self._seen.clear()
        self._addresses.clear()

    def _remember(self, seen: Sighting, its_stamp: Stamp) -> None:
        with self._lock:
            self._known[seen.id] = (seen.name, its_stamp)
            self._seen[seen.id] = seen

    def _note(self, ids: Iterable[str], sightings: Collection[Sighting]) -> None:
        """What a look at these machines has shown; those that it did not show are gone."""
        gone = set(ids) - {one.id for one in sightings}
        with self._lock:
            self._seen |= {one.id: one for one in sightings if one.complete}
            for item in gone:
                self._known.pop(item, None)
                self._seen.pop(item, None)
                self._addresses.pop(item, None)

    def _vm(self, seen: Sighting, cluster: Cluster) -> Vm:
        found = _own_stamp(seen)
        judged = self._address(seen, cluster, found.role) if found else MachineAddresses()
        return Vm(
            name=seen.name,
            id=seen.id,
            power=seen.power,
            stamp=found,
            copy=seen.copy and Stamp.parse(seen.stamp) is not None,
            addresses=judged.usable,
            notice=judged.notice,
            on_since=seen.on_since if seen.power is Power.ON else None,
            status=NodeStatus.parse(seen.status),
            scrubbed=seen.scrubbed,
            where=self._where(seen),
            task=seen.task,
            failure_domain=seen.domain,
        )

    def _address(self, seen: Sighting, cluster: Cluster, role: Role) -> MachineAddresses:
        """What is known stays known while the machine runs."""
        if seen.power is not Power.ON:
            with self._lock:
                self._addresses.pop(seen.id, None)
            return MachineAddresses()
        only_in = self._config[role].wait_for_ip_address_subnet
        found = judge(seen.told, cluster, expected=seen.expected, only_in=only_in, mac_address=seen.card)
        with self._lock:
            if found.usable:
                self._addresses[seen.id] = found
            return self._addresses.get(seen.id, found)

    def _where(self, seen: Sighting) -> str:
        return f"{self._inventory().path(seen.folder or '')}/{seen.name}"


def _own_stamp(seen: Sighting) -> Stamp | None:
    """A copy's is another machine's."""
    return None if seen.copy else Stamp.parse(seen.stamp)


def _concerns(cluster: Cluster, name: str, found: Stamp | None) -> bool:
    return name in cluster.names or (found is not None and found.cluster == cluster.name)
