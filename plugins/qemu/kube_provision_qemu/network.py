"""A cluster's network on this host: its switches, its router, and the ports by which this host reaches its machines.

The router is a QEMU process without a machine: user-mode networking and the switch on one hub. Machines reach out through
it, and this host reaches a machine's port by a port of its own loopback interface. Another such process joins the wire of a
host's network to its interface. What was killed, `ensure` starts again.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from kube_provision_core import Endpoint, TargetError, replace_file

from . import addresses, files, forwards, host_networks, processes, wire
from .emulator import Emulator
from .forwards import Forward
from .places import PID_FILE, PORTS, QMP_SOCKET
from .qmp import Qmp, QmpError, session
from .record import Record
from .sockets import connect
from .switch import OUTSIDE_SOCKET, ROUTER_SOCKET
from .switch import PID_FILE as SWITCH_PID_FILE
from .switch import SOCKET as SWITCH_SOCKET

MOST_TRIES = 64
"""Host ports that are tried for one port of a machine."""

Ports = dict[str, dict[int, int]]
"""Machine → its port → the host's port."""


class Network:
    """One cluster's network. Whoever calls anything but `reach` holds its lock."""

    def __init__(self, folder: Path, cluster: str) -> None:
        self.folder = folder
        self._cluster = cluster

    def uplink_arguments(self, folder: Path, made: Record) -> list[str]:
        """Options that put the hubs of the machine in that folder on their wires."""
        wires = enumerate(made.wires)
        return [word for hub, name in wires for word in wire.uplink_arguments(folder, self._socket(folder, name), hub)]

    def reach(self, name: str) -> Mapping[int, Endpoint]:
        """Where this host reaches the machine's ports."""
        of = self._read_ports().get(name, {})
        return {port: Endpoint(forwards.HOST, host_port) for port, host_port in sorted(of.items())}

    def ensure(
        self, emulator: Callable[[], Emulator], machines: Mapping[Path, Record], cut_off: Iterable[Path] = ()
    ) -> None:
        """Start what does not run, connect again what was cut off, and forward the ports of all `machines`. Idempotent.

        `machines`: all of the cluster, by folder. `cut_off`: those that run without a connection to the switch. Raises
        `TargetError` once all that can be done is done.
        """
        lost, problems = set(cut_off), list[str]()
        for name in sorted({name for made in machines.values() for name in made.wires}):
            with _collected(problems):
                # Whoever was connected to a switch before may not have noticed yet.
                anew = self._ensure_switch(self._wire(name))
                for folder, made in machines.items():
                    if name in made.wires and (anew or folder in lost) and files.holder(folder / PID_FILE) is not None:
                        with _collected(problems):
                            self._reconnect(folder, made.wires.index(name), name)
                self._ensure_way_out(name, emulator, anew=anew)
                if not name:
                    self._ensure_forwards(list(machines.values()))
        if problems:
            raise TargetError("; ".join(problems))

    def release(self, records: Sequence[Record]) -> None:
        """A machine goes, and `records` are those that are left: end what they do not need; without any left, everything."""
        needed = {self._wire(name) for made in records for name in made.wires}
        for folder in {self.folder, *self.folder.parent.glob(f"{self.folder.name}.*")} - needed:
            self._end_way_out(folder)
            self._end_switch(folder)

    def close_ports(self, records: Sequence[Record]) -> None:
        """A machine is gone, and `records` are those that are left: free its ports of this host."""
        if any("" in made.wires for made in records) and files.holder(self.folder / PID_FILE) is not None:
            self._ensure_forwards(records)

    # --- switches --------------------------------------------------------------------------------------------------

    def _wire(self, name: str) -> Path:
        """The folder of one of its wires; the name of its own is empty."""
        return self.folder.with_name(f"{self.folder.name}.{name}") if name else self.folder

    def _ensure_switch(self, folder: Path) -> bool:
        """Whether it had to be started."""
        files.make_private(folder)
        if files.holder(folder / SWITCH_PID_FILE) is not None:
            return False
        command = [sys.executable, "-m", "kube_provision_qemu.switch"]
        serves = partial(_serves, folder / SWITCH_SOCKET)
        processes.start(command, folder, log="switch.log", pid_file=str(SWITCH_PID_FILE), serves=serves)
        return True

    def _end_switch(self, folder: Path) -> None:
        processes.kill(folder / SWITCH_PID_FILE)
        shutil.rmtree(folder, ignore_errors=True)

    # --- ways out --------------------------------------------------------------------------------------------------

    def _ensure_way_out(self, name: str, emulator: Callable[[], Emulator], *, anew: bool) -> None:
        """The process that joins a wire to what is outside of it, where it leads anywhere. `anew`: its switch is new."""
        folder, device = self._wire(name), _outside(name)
        if device is None:
            return
        if files.holder(folder / PID_FILE) is None:
            binary = emulator().binary
            for problem in host_networks.problems(binary, name):
                raise TargetError(problem)
            command = self._way_out_command(binary, name, device)
            serves = partial(self._way_out_serves, name)
            processes.start(command, folder, log="router.log", pid_file=PID_FILE, serves=serves)
        elif anew or self._is_cut_off(folder):
            self._reconnect(folder, name=name)

    def _way_out_command(self, binary: Path, name: str, device: str) -> list[str]:
        folder = self._wire(name)
        return [
            *(str(binary), "-M", "none", "-nodefaults", "-no-user-config", "-display", "none"),
            *("-name", f"router-{folder.name}", "-pidfile", PID_FILE, "-qmp", f"unix:{QMP_SOCKET},server=on,wait=off"),
            *("-netdev", device),
            *wire.hub_arguments("outside-port", forwards.DEVICE),
            *wire.uplink_arguments(folder, self._socket(folder, name)),
        ]

    def _way_out_serves(self, name: str) -> bool:
        folder = self._wire(name)
        try:
            with session(folder / QMP_SOCKET) as qmp:
                return qmp.execute("query-name").get("name") == f"router-{folder.name}" and wire.is_connected(qmp)
        except QmpError:
            return False

    def _end_way_out(self, folder: Path) -> None:
        try:
            with session(folder / QMP_SOCKET) as qmp:
                qmp.execute("quit")
        except QmpError:
            processes.kill(folder / PID_FILE)
        if not processes.wait_gone(folder / PID_FILE, processes.KILL_TIMEOUT):
            processes.kill(folder / PID_FILE)

    def _socket(self, folder: Path, name: str = "") -> Path:
        """The socket of a wire's switch for the process of that folder."""
        of_wire = self._wire(name)
        if folder != of_wire:
            return of_wire / SWITCH_SOCKET
        return of_wire / (OUTSIDE_SOCKET if name else ROUTER_SOCKET)

    def _is_cut_off(self, folder: Path) -> bool:
        try:
            with session(folder / QMP_SOCKET) as qmp:
                return not wire.is_connected(qmp)
        except QmpError:
            return True

    def _reconnect(self, folder: Path, hub: int = 0, name: str = "") -> None:
        """Connect a running process to a switch again; one that has ended meanwhile needs nothing."""
        try:
            with session(folder / QMP_SOCKET) as qmp:
                wire.reconnect(qmp, folder, self._socket(folder, name), hub)
        except QmpError as problem:
            if files.holder(folder / PID_FILE) is not None:
                raise TargetError(
                    f"{folder.name} is cut off from the network of cluster {self._cluster}: {problem}"
                ) from problem

    # --- ports -----------------------------------------------------------------------------------------------------

    def _ensure_forwards(self, records: Sequence[Record]) -> None:
        ports = self._read_ports()
        try:
            with session(self.folder / QMP_SOCKET) as router:
                wanted = _forward(router, records, ports)
        except QmpError as problem:
            raise TargetError(f"the router of cluster {self._cluster} ({self.folder}) fails: {problem}") from problem
        if wanted != ports:
            replace_file(self.folder / PORTS, json.dumps(wanted, indent=1).encode() + b"\n")

    def _read_ports(self) -> Ports:
        """The ports as last recorded; a file that cannot be read costs other ports, nothing else."""
        try:
            said = json.loads((self.folder / PORTS).read_text())
            return {name: {int(port): int(host_port) for port, host_port in of.items()} for name, of in said.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}


@contextmanager
def _collected(problems: list[str]) -> Iterator[None]:
    """What goes wrong in one part keeps no other one from being tried."""
    try:
        yield
    except TargetError as problem:
        problems.append(str(problem))


def _outside(name: str) -> str | None:
    """The network device that leads out of a wire; None where nothing does."""
    if name:
        return host_networks.device(name, forwards.DEVICE)
    net = f"net={addresses.NETWORK},host={addresses.GATEWAY},dns={addresses.NAME_SERVER},dhcpstart={addresses.DHCP_START}"
    return f"user,id={forwards.DEVICE},{net},ipv6=off"


def _serves(socket: Path) -> bool:
    try:
        connect(socket, timeout=1.0).close()
    except OSError:
        return False
    return True


def _forward(router: Qmp, records: Sequence[Record], ports: Ports) -> Ports:
    """Bring the rules in force to what `records` ask for; the host's ports stay those in `ports` unless they are taken."""
    by_address = {record.address: record for record in records}
    kept: Ports = {record.name: {} for record in records}
    for forward in sorted(forwards.active(router), key=lambda forward: forward.host_port):
        record = by_address.get(forward.address)
        if record and forward.port in record.ports and ports.get(record.name, {}).get(forward.port) == forward.host_port:
            kept[record.name][forward.port] = forward.host_port
        else:
            forwards.remove(router, forward)
    for record in records:
        for port in record.ports:
            if port not in kept[record.name]:
                kept[record.name][port] = _add(router, record, port, ports)
    return kept


def _add(router: Qmp, record: Record, port: int, ports: Ports) -> int:
    """Forward one port. Its host port is the recorded one, or the next that nobody has."""
    recorded = ports.get(record.name, {}).get(port)
    others = {host_port for of in ports.values() for host_port in of.values()} - {recorded}
    free = (candidate for candidate in forwards.candidates(record.name, port) if candidate not in others)
    for host_port in [*([recorded] if recorded else []), *islice(free, MOST_TRIES)]:
        if forwards.add(router, Forward(host_port, record.address, port)):
            return host_port
    raise TargetError(
        f"{record.name}: none of {MOST_TRIES} ports of this host from {forwards.FIRST} on is free for its port {port}: "
        "end what listens there"
    )
