"""What the account must be allowed to do, and where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from .client.privileges import missing_privileges
from .client.vcenter import Vcenter
from .config import VsphereConfig
from .inventory import Inventory
from .naming import VAPP
from .placement import Placement

ON_FOLDER = (
    "VirtualMachine.Inventory.CreateFromExisting",
    "VirtualMachine.Inventory.Delete",
    "VirtualMachine.Config.AddNewDisk",
    "VirtualMachine.Config.AddRemoveDevice",
    "VirtualMachine.Config.AdvancedConfig",
    "VirtualMachine.Config.Annotation",
    "VirtualMachine.Config.CPUCount",
    "VirtualMachine.Config.DiskExtend",
    "VirtualMachine.Config.EditDevice",
    "VirtualMachine.Config.Memory",
    "VirtualMachine.Config.Settings",
    "VirtualMachine.Interact.PowerOff",
    "VirtualMachine.Interact.PowerOn",
)
"""New machines inherit from their folder."""
ON_TEMPLATE = ("VirtualMachine.Provisioning.DeployTemplate",)
ON_MACHINE = ("VirtualMachine.Provisioning.Clone",)
ON_POOL = ("Resource.AssignVMToPool",)
ON_VAPP = ("VApp.AssignVM",)
ON_DATASTORE = ("Datastore.AllocateSpace",)
ON_NETWORK = ("Network.Assign",)
FOR_ATTRIBUTES = ("Global.SetCustomField",)
FOR_TAGS = ("InventoryService.Tagging.ObjectAttachable",)
"""Since vCenter 7.0. Which tags an account may attach is granted on these themselves, which are no part of the inventory."""
FOR_GROUPS = ("Host.Inventory.EditCluster",)
"""For the rule that keeps masters apart too; who lacks it there gets a cluster without the rule, and is told."""

FOR_DEPLOYING = ("VApp.Import",)
FOR_BAKING = ("VirtualMachine.Config.Rename", "VirtualMachine.Provisioning.MarkAsTemplate")
FOR_SNAPSHOTS = ("VirtualMachine.State.CreateSnapshot",)


Needed = tuple[tuple[str, str], tuple[str, ...]]
"""An object's type and id, and privileges there."""


def missing(vcenter: Vcenter, inventory: Inventory, needed: Iterable[Needed]) -> Iterator[str]:
    """A line for each object on which the account lacks some; none where vCenter cannot tell. One call."""
    by_object: dict[tuple[str, str], set[str]] = defaultdict(set)
    for thing, these in needed:
        by_object[thing].update(these)
    for item, lacking in missing_privileges(vcenter.session, by_object).items():
        yield f"the vCenter account lacks on {inventory.path(item)}: {', '.join(lacking)}"


def needed(place: Placement, config: VsphereConfig) -> Iterator[Needed]:
    if place.template.id:
        yield ("VirtualMachine", place.template.id), ON_TEMPLATE if place.template.is_template else ON_MACHINE
    else:
        yield ("Folder", place.folder), FOR_DEPLOYING
        yield (place.pool.kind, place.pool.id), FOR_DEPLOYING
    yield ("Folder", place.folder), ON_FOLDER
    yield (place.pool.kind, place.pool.id), ON_POOL + (ON_VAPP if place.pool.kind == VAPP else ())
    for store in place.datastores:
        yield ("Datastore", store.id), ON_DATASTORE
    for network in place.networks:
        yield (network.kind, network.id), ON_NETWORK
    if config.vm_attributes:
        yield ("Folder", place.folder), FOR_ATTRIBUTES
    if config.vm_groups:
        yield ("ClusterComputeResource", place.cluster.id), FOR_GROUPS
