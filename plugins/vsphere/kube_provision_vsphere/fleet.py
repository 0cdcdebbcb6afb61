"""The machines of a run: found, made, taken over, scrubbed and destroyed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from time import monotonic

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
from .client.faults import VcenterError
from .client.machines import Machines
from .client.sightings import Sighting
from .client.specification import Order
from .config import VsphereConfig
from .inventory import Inventory, Item
from .kind import Kind

log = logging.getLogger(__name__)

SCAN_SECONDS = 30.0
"""How long a look at the whole datacenter is good for. Between two of them only the machines that matter are looked at:
what others make meanwhile under one of our names is noticed at the latest when vCenter refuses the name."""


@dataclass
class _Known:
    """What is known of a machine of the datacenter."""

    name: str
    stamp: Stamp | None
    """Of a copy, that of what it was copied from."""
    copy: bool = False
    seen: Sighting | None = None
    """As last seen, once it was complete."""
    address: MachineAddresses | None = None
    """Where it has one: what guest tools report of it is read again at the next scan only."""

    def concerns(self, cluster: Cluster) -> bool:
        return self.name in cluster.names or (self.stamp is not None and self.stamp.cluster == cluster.name)

    def is_like(self, vm: Vm) -> bool:
        """Of the same cluster and role, and no copy."""
        if self.copy or self.stamp is None or vm.stamp is None:
            return False
        return (self.stamp.cluster_id, self.stamp.role) == (vm.stamp.cluster_id, vm.stamp.role)


class Fleet:
    """Thread-safe. Every method raises `TargetError`."""

    def __init__(self, machines: Machines, inventory: Callable[[], Inventory], config: Mapping[Role, VsphereConfig]) -> None:
        self._machines, self._inventory, self._config = machines, inventory, config
        self._lock = Lock()
        self._scanned: float | None = None
        self._known: dict[str, _Known] = {}
        """Every machine of the datacenter, by id."""
        self._going: set[str] = set()
        """Ids of machines that are being destroyed, of those that a rule keeps apart."""

    def look(self, cluster: Cluster) -> tuple[Vm, ...]:
        """The cluster's machines, and any that bear one of its names: one call, another one when a scan is due."""
        self._scan_when_due()
        with self._lock:
            mine = {item: one for item, one in self._known.items() if one.concerns(cluster)}
            unknown = [item for item, one in mine.items() if one.seen is None]
            known = [one.seen for one in mine.values() if one.seen and one.address is None]
            settled = [one.seen for one in mine.values() if one.seen and one.address]
        sightings = self._machines.look(unknown, known, settled)
        self._note(mine, sightings)
        return tuple(sorted((self._vm(one, cluster) for one in sightings if one.complete), key=lambda vm: vm.name))

    def static_addresses(self) -> Mapping[str, str]:
        """Names of the machines that were looked at and have one, by that."""
        with self._lock:
            seen = [one.seen for one in self._known.values() if one.seen]
        return {one.expected: one.name for one in seen if one.expected}

    def provision(self, node: Node, order: Callable[[], Order]) -> Vm:
        """The machine of that name: taken over where it exists with our stamp, else cloned as ordered."""
        self._scan_when_due(first_only=True)
        with self._lock:
            namesakes = [item for item, one in self._known.items() if one.name == node.name]
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
            known = self._known.get(vm.id)
            if known and known.seen:
                known.seen = replace(known.seen, marked=True)

    def deliver(self, vm: Vm, task: bytes | None) -> None:
        """The task, and which one it is, in one step: nobody sees the one without the other."""
        value, digest = GuestInfo.task(task), task_digest(task or b"")
        self._own(vm, "give a task to")
        self._machines.set_options(vm.name, vm.id, {GuestInfo.TASK: value, stamp.TASK: digest}, "change the task that waits")

    def restamp(self, vm: Vm, its_stamp: Stamp) -> None:
        self._own(vm, "stamp", its_stamp)
        self._machines.set_options(vm.name, vm.id, {stamp.STAMP: its_stamp.text}, "rewrite the stamp")
        with self._lock:
            known = self._known.setdefault(vm.id, _Known(vm.name, its_stamp))
            known.stamp = its_stamp
            if known.seen:
                known.seen = replace(known.seen, stamp=its_stamp.text)

    def destroy(self, vm: Vm) -> None:
        """Nothing to do is fine; another stamp than the given one is not."""
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
            alike = {item: one for item, one in self._known.items() if item not in self._going and one.is_like(vm)}
            known = {item: one.seen.domain for item, one in alike.items() if one.seen}
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
        self._known = {one.id: _Known(one.name, Stamp.parse(one.stamp), one.copy) for one in seen}

    def _remember(self, seen: Sighting, its_stamp: Stamp) -> None:
        with self._lock:
            self._known[seen.id] = _Known(seen.name, its_stamp, seen=seen)

    def _note(self, ids: Iterable[str], sightings: Collection[Sighting]) -> None:
        """What a look at these machines has shown; those that it did not show are gone."""
        with self._lock:
            for one in sightings:
                if one.complete and one.id in self._known:
                    self._known[one.id].seen = one
            for item in set(ids) - {one.id for one in sightings}:
                self._known.pop(item, None)

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
        on, only_in = seen.power is Power.ON, self._config[role].wait_for_ip_address_subnet
        found = judge(seen.told, cluster, expected=seen.expected, only_in=only_in, mac_address=seen.card)
        with self._lock:
            known = self._known.get(seen.id) or _Known(seen.name, None)
            known.address = (found if found.usable else known.address) if on else None
            return (known.address or found) if on else MachineAddresses()

    def _where(self, seen: Sighting) -> str:
        return f"{self._inventory().path(seen.folder or '')}/{seen.name}"


def _own_stamp(seen: Sighting) -> Stamp | None:
    """A copy's is another machine's."""
    return None if seen.copy else Stamp.parse(seen.stamp)
