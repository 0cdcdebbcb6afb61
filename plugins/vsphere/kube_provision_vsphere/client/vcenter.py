"""One vCenter for one run: everything that the driver asks of it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from kube_provision_core import TargetError

from ..inventory import Inventory, Item
from ..resources import LibraryItem, Policy, Resources, Tag, TagCategory
from .attributes import Attributes, set_attributes
from .cluster import ClusterRules
from .details import has_properties, read_resources
from .importing import LEASE, LEASE_PATHS, Imports
from .library import deploy, find_item
from .machines import AWAITED_PATHS, Machines
from .names import read_inventory
from .policies import read_policies
from .privileges import missing_privileges
from .rest import Rest
from .session import Session
from .sightings import USER_DATA
from .specification import Order
from .tags import read_categories, set_tags
from .tasks import TASK_PATHS, Tasks
from .templates import TemplateMachines
from .upload import Uploads
from .waiting import Waiting

if TYPE_CHECKING:
    from ..ova import Ova


class Vcenter:
    """Connects at the first call. Thread-safe. Methods raise `TargetError`, its `VcenterError` for vCenter's faults."""

    def __init__(
        self, address: tuple[str, int], username: str, password: str, trust: Callable[[], ssl.SSLContext], threads: int
    ) -> None:
        self._session = Session(address, username, password, trust, threads)
        self._rest = Rest(self._session, address, username, password, trust, threads)
        paths = {"Task": TASK_PATHS, "VirtualMachine": AWAITED_PATHS, LEASE: LEASE_PATHS}
        self._waiting = Waiting(self._session, paths)
        self._user_data = Waiting(self._session, {"VirtualMachine": (*AWAITED_PATHS, USER_DATA)})
        self._tasks = Tasks(self._session, self._waiting)
        self._rules_lock = Lock()
        self.machines = Machines(self._session, self._tasks, self._user_data)
        self.templates = TemplateMachines(self._session, self._tasks)
        self.imports = Imports(self._session, self._waiting, Uploads(address, trust), self.machines)

    def inventory(self, datacenter: str | None, templates: Collection[str] = ()) -> Inventory:
        """With other datacenters' machines where the templates' full paths lead there. Also raises `ConfigError` for a
        datacenter that does not exist."""
        found = read_inventory(self._session, datacenter, templates)
        self._session.path = found.path
        return found

    def resources(self, items: Iterable[Item]) -> Resources:
        return read_resources(self._session, items)

    def policies(self, names: Collection[str], datastores: Iterable[str]) -> tuple[Policy, ...]:
        return read_policies(self._session, names, datastores)

    def rules(self, cluster: str) -> ClusterRules:
        return ClusterRules(self._session, self._tasks, cluster, self._rules_lock)

    def set_attributes(self, wanted: Attributes) -> None:
        set_attributes(self._session, wanted)

    def tag_categories(self, names: Collection[str]) -> tuple[TagCategory, ...]:
        """All that there are; those of these names with their tags."""
        return read_categories(self._rest, names)

    def set_tags(self, wanted: Mapping[str, Collection[Tag]]) -> None:
        """Attach to machines, by their ids, what they lack."""
        set_tags(self._rest, wanted)

    def library_item(self, library: str, name: str) -> LibraryItem:
        """Also raises `ConfigError` where it is not there."""
        return find_item(self._rest, library, name)

    def deploy(self, item: LibraryItem | Ova, order: Order) -> None:
        """Make a machine as ordered of an item or OVA in place of a template, and power it on. Also raises `ConfigError` for
        an OVA that is not what its manifest says."""
        machine = deploy(self._rest, item, order) if isinstance(item, LibraryItem) else self.imports.run(item, order)
        made = read_resources(self._session, [Item("VirtualMachine", machine, order.name)]).templates.get(machine)
        if made is None or not made.disks:
            raise TargetError(f"{order.name}: what was made of {item.name} has no disk, or is gone")
        properties = has_properties(self._session, order.name, machine)
        self.machines.configure(replace(order, template=made), machine, without_properties=properties)

    def missing_privileges(self, needed: Mapping[tuple[str, str], Collection[str]]) -> dict[str, list[str]]:
        return missing_privileges(self._session, needed)

    def close(self) -> None:
        """End all waits and log out. Never raises."""
        self._waiting.close()
        self._user_data.close()
        self._rest.close()
        self._session.close()
