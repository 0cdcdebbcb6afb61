"""What a machine is: written in one step when it is made, and for good but for its stamp, which is in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kube_provision_core import Stamp, replace_file

from .places import RECORD, Places, data_disks
from .template import Fingerprint

FORMAT = 1

_LARGEST = 64 * 1024


@dataclass(frozen=True)
class Record:
    name: str
    uuid: str
    """By which its QEMU process is known, and the guest's product uuid."""
    stamp: Stamp
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


def write(folder: Path, record: Record) -> None:
    fields = asdict(record) | {"template": str(record.template), "has_data_disk": record.data_disk_count > 0}
    if record.data_disk_count <= 1:
        del fields["data_disk_count"]
    if not record.further_networks:  # an earlier version reads what it knows
        del fields["further_networks"], fields["own_card"]
    if not record.node_network:
        del fields["node_network"]
    if not record.static_addresses:
        del fields["static_addresses"]
    replace_file(folder / RECORD, json.dumps({"format": FORMAT, **fields}, indent=1).encode() + b"\n")


def read(folder: Path) -> Record | None:
    """The record of the machine in that folder; None where there is none of ours: the folder is somebody else's."""
    try:
        with (folder / RECORD).open("rb") as file:
            return _parse(json.loads(file.read(_LARGEST)), folder.name)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_all(places: Places) -> list[Record]:
    """Those of all machines, powered on or not."""
    found = (read(places.machine(name)) for name in places.names())
    return [made for made in found if made]


def _parse(said: dict[str, object], name: str) -> Record:
    """Raises ValueError, TypeError or KeyError for what `write` has not written, or has written for another folder."""
    fields = dict(said)
    if fields.pop("format") != FORMAT or fields["name"] != name:
        raise ValueError("another format or another machine")
    stamp, fingerprint = Stamp.of(fields.pop("stamp")), fields.pop("fingerprint")
    template, ports, further = fields.pop("template"), fields.pop("ports"), fields.pop("further_networks", [])
    static_addresses, one = fields.pop("static_addresses", []), fields.pop("has_data_disk", False)
    if not (stamp and isinstance(fingerprint, dict) and isinstance(ports, list)):
        raise TypeError("not a record")
    return Record(
        stamp=stamp,
        fingerprint=Fingerprint.parse(fingerprint),
        template=Path(str(template)),
        ports=tuple(map(int, ports)),
        further_networks=_pairs(further),
        static_addresses=_pairs(static_addresses),
        **{"data_disk_count": int(bool(one))} | fields,  # type: ignore[arg-type]  # unknown or missing keys raise TypeError; who can write here could start QEMU anyway
    )


def _pairs(said: object) -> tuple[tuple[str, str], ...]:
    """Raises ValueError or TypeError."""
    if not isinstance(said, list):
        raise TypeError("not a record")
    return tuple((str(name), str(value)) for name, value in said)
