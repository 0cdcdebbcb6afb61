"""What a machine is: written in one step when it is made, and for good but for its stamp, which is in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, TypeAdapter

from kube_provision_core import Stamp, replace_file

from .places import RECORD, Places, data_disks
from .template import Fingerprint

FORMAT = 1

_LARGEST = 64 * 1024


@dataclass(frozen=True)
class Record:
    __pydantic_config__ = ConfigDict(extra="forbid")  # a later version may have made of it what this one does not know

    name: str
    uuid: str
    """By which its QEMU process is known, and the guest's product uuid."""
    stamp: Annotated[Stamp, BeforeValidator(Stamp.of)]
    address: str
    mac: str
    cpu: int
    memory_gib: int
    template: Path
    """The disk that its own is an overlay on."""
    fingerprint: Fingerprint
    """Of the template when the overlay was made."""
    ports: tuple[int, ...]
    """TCP ports of it that this host reaches by ports of its own."""
    data_disk_count: int = 0
    further_networks: tuple[tuple[str, str], ...] = ()
    """Their names, and the hardware addresses of its cards in them. On the process's hubs they come in this order after
    the nodes' network, whose hub is 0."""
    own_card: int = 0
    """Number of the card in the nodes' network, among its cards."""
    node_network: str = ""
    """The host's network in which its `address` is; empty: the cluster's own wire."""
    static_addresses: tuple[tuple[str, str], ...] = ()
    """Addresses that the configuration gave it, each behind the name of its network."""

    @property
    def data_disks(self) -> tuple[str, ...]:
        """Names of the files of its further disks."""
        return data_disks(self.data_disk_count)

    @property
    def wires(self) -> tuple[str, ...]:
        """Names of its networks by the number of their hubs; that of the cluster's own is empty."""
        return (self.node_network, *(name for name, _ in self.further_networks))

    @property
    def cards(self) -> tuple[tuple[int, str], ...]:
        """Numbers of hubs, and hardware addresses, in the order of the cards."""
        others = [(hub, mac) for hub, (_, mac) in enumerate(self.further_networks, start=1)]
        return (*others[: self.own_card], (0, self.mac), *others[self.own_card :])


_RECORDS = TypeAdapter(Record)


def write(folder: Path, record: Record) -> None:
    fields = asdict(record) | {"template": str(record.template), "has_data_disk": record.data_disk_count > 0}
    if record.data_disk_count <= 1:
        del fields["data_disk_count"]
    for name in ("further_networks", "own_card", "node_network", "static_addresses"):
        if not fields[name]:  # an earlier version reads what it knows
            del fields[name]
    replace_file(folder / RECORD, json.dumps({"format": FORMAT, **fields}, indent=1).encode() + b"\n")


def read(folder: Path) -> Record | None:
    """The record of the machine in that folder; None where there is none of ours: the folder is somebody else's."""
    try:
        with (folder / RECORD).open("rb") as file:
            fields = json.loads(file.read(_LARGEST))
        if fields.pop("format") != FORMAT or fields["name"] != folder.name:
            return None
        one = bool(fields.pop("has_data_disk", False))
        return _RECORDS.validate_python({"data_disk_count": int(one)} | fields)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def read_all(places: Places) -> list[Record]:
    """Those of all machines, powered on or not."""
    found = (read(places.machine(name)) for name in places.names())
    return [made for made in found if made]
