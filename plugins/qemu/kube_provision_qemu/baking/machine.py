"""The machine that bakes: it boots once, on a wire of its own that leads out, and becomes the template."""

from __future__ import annotations

import uuid
from pathlib import Path

from kube_provision_core import Baked, Baking, Image, NoCloudSeed, NodeStatus, Power, Role, Stamp, TargetError

from .. import addresses, command, forwards, power, processes, record, template, wire
from ..emulator import Emulator
from ..files import read_tail
from ..places import BOOT_DISK, LOG, PID_FILE, QMP_SOCKET, SEED, STATUS
from ..qmp import QmpError, session
from ..record import Record
from ..status import LIMIT

ADDRESS = "10.0.2.15"
"""On its own wire, where nobody else is."""


def write(folder: Path, name: str, image: Image) -> None:
    """The machine's seed and record; its disk lies in the folder already."""
    made = template.read(folder / BOOT_DISK)
    mac = addresses.mac(image.spec, name)
    NoCloudSeed(image.boot, addresses.network_text(ADDRESS, [(addresses.OWN, mac)], index=1)).write(folder / SEED)
    record.write(
        folder,
        Record(
            name=name,
            uuid=str(uuid.uuid4()),
            stamp=Stamp("", "", Role.MASTER, image.spec),
            address=ADDRESS,
            mac=mac,
            cpu=image.machine.cpu,
            memory_gib=image.machine.memory_gib,
            template=made.disk,
            fingerprint=made.fingerprint,
            ports=(),
        ),
    )


def start(folder: Path, emulator: Emulator) -> None:
    """Power it on. Raises `TargetError`, with nothing left running, when it does not start."""
    made = _record(folder)
    base = template.read(folder / BOOT_DISK)
    processes.start(
        command.machine(made, base, emulator, _way_out()),
        folder,
        log=LOG,
        pid_file=PID_FILE,
        serves=lambda: _serves(made, folder),
    )


def look(folder: Path) -> Baking | None:
    """None where there is no machine of ours."""
    made = record.read(folder)
    if made is None:
        return None
    lines = list(reversed(read_tail(folder / STATUS, LIMIT).split("\n")[:-1]))
    return Baking(
        spec=made.stamp.spec,
        running=power.look(made, folder).power is not Power.OFF,
        status=next(filter(None, map(NodeStatus.parse, lines)), None),
        baked=next(filter(None, map(Baked.published, lines)), None),
    )


def stop(folder: Path, bounds: power.Bounds) -> None:
    """Shut it down. Idempotent."""
    power.stop(_record(folder), folder, bounds)


def _record(folder: Path) -> Record:
    made = record.read(folder)
    if made is None:
        raise TargetError(f"{folder} is not a machine that bakes; it is left alone. Move it away")
    return made


def _way_out() -> list[str]:
    """User-mode networking of its own: it reaches out, and nobody reaches it."""
    net = f"net={addresses.NETWORK},host={addresses.GATEWAY},dns={addresses.NAME_SERVER},ipv6=off"
    return ["-netdev", f"user,id={forwards.DEVICE},{net}", *wire.hub_arguments("outside-port", forwards.DEVICE)]


def _serves(made: Record, folder: Path) -> bool:
    try:
        with session(folder / QMP_SOCKET) as qmp:
            return bool(qmp.execute("query-uuid")["UUID"] == made.uuid)
    except QmpError:
        return False
