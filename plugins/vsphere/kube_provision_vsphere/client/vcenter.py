"""One vCenter for one run: its sessions, and what waits and remembers between calls."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from kube_provision_core import TargetError

from .. import tls
from ..config import VsphereConfig
from ..inventory import Inventory, Item
from ..resources import LibraryItem
from .cluster import ClusterRules
from .details import has_properties, read_resources
from .importing import LEASE, LEASE_PATHS, Imports
from .library import deploy
from .machines import AWAITED_PATHS, Machines
from .names import read_inventory
from .rest import Rest
from .session import Session
from .sightings import USER_DATA
from .specification import Order
from .tasks import TASK_PATHS, Tasks
from .templates import TemplateMachines
from .waiting import Waiting

if TYPE_CHECKING:
    from ..ova import Ova


class Vcenter:
    """Connects at the first call. Thread-safe. Methods raise `TargetError`, its `VcenterError` for vCenter's faults."""

    def __init__(self, config: VsphereConfig, threads: int) -> None:
        trust = partial(tls.context, config.address, ca_file=config.vcenter_ca_file, fingerprint=config.vcenter_thumbprint)
        username, password = config.vcenter_username, config.vcenter_password.get_secret_value()
        self.session = Session(config.address, username, password, trust, threads)
        self.rest = Rest(self.session, username, password)
        paths = {"Task": TASK_PATHS, "VirtualMachine": AWAITED_PATHS, LEASE: LEASE_PATHS}
        self._waiting = Waiting(self.session, paths)
        self._user_data = Waiting(self.session, {"VirtualMachine": (*AWAITED_PATHS, USER_DATA)})
        tasks = Tasks(self.session, self._waiting)
        self.rules = ClusterRules(self.session, tasks)
        self.machines = Machines(self.session, tasks, self._user_data)
        self.templates = TemplateMachines(self.session, tasks)
        self.imports = Imports(self.session, self._waiting, self.machines)

    def inventory(self, datacenter: str | None, templates: Collection[str] = ()) -> Inventory:
        """With other datacenters' machines where the templates' full paths lead there. Also raises `ConfigError` for a
        datacenter that does not exist."""
        found = read_inventory(self.session, datacenter, templates)
        self.session.path = found.path
        return found

    def deploy(self, item: LibraryItem | Ova, order: Order) -> None:
        """Make a machine as ordered of an item or OVA in place of a template, and power it on. Also raises `ConfigError` for
        an OVA that is not what its manifest says."""
        machine = deploy(self.rest, item, order) if isinstance(item, LibraryItem) else self.imports.run(item, order)
        made = read_resources(self.session, [Item("VirtualMachine", machine, order.name)]).templates.get(machine)
        if made is None or not made.disks:
            raise TargetError(f"{order.name}: what was made of {item.name} has no disk, or is gone")
        properties = has_properties(self.session, order.name, machine)
        self.machines.configure(replace(order, template=made), machine, without_properties=properties)

    def close(self) -> None:
        """End all waits and log out. Never raises."""
        self._waiting.close()
        self._user_data.close()
        self.rest.close()
        self.session.close()
