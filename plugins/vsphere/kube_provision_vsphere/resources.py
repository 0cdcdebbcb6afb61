"""What is known of the objects that machines are made from and put into. Plain values, read by the client."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Disk:
    key: int
    gib: float


@dataclass(frozen=True)
class Template:
    """The machine that is cloned."""

    id: str
    disks: tuple[Disk, ...]
    """The boot disk first."""
    has_card: bool
    """There is a network card."""
    is_template: bool = False
    running: bool = False
    created: datetime | None = None
    snapshot: str | None = None
    """Id of its current snapshot."""
    snapshots: tuple[tuple[str, str], ...] = ()
    """Names and ids of all, the oldest first; vCenter lets several have one name."""
    hardware: str = ""
    """Version of its virtual hardware, `vmx-19`; empty where it is not told."""
    datastores: frozenset[str] = frozenset()
    """Ids of those that hold its disks."""
    networks: frozenset[str] = frozenset()
    """Ids of those that its cards are connected to."""
    free_places: tuple[tuple[int, int], ...] = ()
    """Where further disks can be plugged in: keys of controllers, and units."""
    devices: tuple[Any, ...] = field(default=(), repr=False)
    """As vCenter describes them; only for the client."""

    def lack_of_room(self, further_disks: Collection[int]) -> str:
        """Why its machines cannot have as many; empty where they can."""
        if len(further_disks) <= len(self.free_places):
            return ""
        return (
            f"data_volumes: {len(further_disks)} wanted, and the template's controllers have room for "
            f"{len(self.free_places)} more disks; add a controller to it, or give fewer"
        )


NOT_THERE_YET = Template(id="", disks=(Disk(0, 0.0),), has_card=True)
"""A machine that is deployed or imported when it is needed: nothing of it is known before."""


@dataclass(frozen=True)
class LibraryItem:
    """An OVF template of a content library."""

    id: str
    name: str
    """`library/item`, with its version."""

    @property
    def described(self) -> str:
        return f"content library {self.name}"


@dataclass(frozen=True)
class Datastore:
    id: str
    free_bytes: int
    usable: bool
    """Accessible and not in maintenance."""


@dataclass(frozen=True)
class Policy:
    """A storage policy."""

    id: str
    name: str
    datastores: frozenset[str]
    """Ids of those that satisfy it."""


@dataclass(frozen=True)
class Tag:
    id: str
    name: str
    """`category/tag`, for messages."""
    rivals: frozenset[str] = frozenset()
    """Ids of those that a machine cannot bear beside it."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class TagCategory:
    id: str
    name: str
    single: bool
    """A machine bears one of its tags at most."""
    for_machines: bool
    """Machines may bear them."""
    tags: Mapping[str, str]
    """Ids by name; none where nobody asked for its tags."""


@dataclass(frozen=True)
class Network:
    id: str
    kind: str
    """Its type in the vSphere API."""
    name: str
    switch: str | None = None
    """Identity of the distributed switch whose port group it is."""
    opaque: tuple[str, str] | None = None
    """Id and type of a network that is managed outside of vSphere, by NSX."""

    @property
    def is_known(self) -> bool:
        """Enough for a card to be connected to it."""
        return self.kind == "Network" or self.switch is not None or self.opaque is not None


@dataclass(frozen=True)
class HostCluster:
    """A cluster of hosts, or a single host."""

    id: str
    places_machines: bool
    """DRS chooses the host of a new machine, and moves machines."""
    vm_groups: frozenset[str] = frozenset()
    """Names of its DRS groups of machines."""
    datastores: frozenset[str] | None = None
    """Ids of those that its hosts reach; None: not known."""
    networks: frozenset[str] | None = None


@dataclass(frozen=True)
class Host:
    id: str
    usable: bool
    """Connected and not in maintenance."""
    datastores: frozenset[str] | None = None
    """Ids of those that it reaches; None: not known."""
    networks: frozenset[str] | None = None


@dataclass(frozen=True)
class Resources:
    """Everything that was read, by id."""

    templates: dict[str, Template]
    datastores: dict[str, Datastore]
    networks: dict[str, Network]
    clusters: dict[str, HostCluster]
    hosts: dict[str, Host]
    policies: tuple[Policy, ...] = ()
    """All that there are, where one is asked for."""
