"""The cluster's wire: a learning layer-2 switch for QEMU's `stream` network devices, without root.

    python -m kube_provision_qemu.switch

Listens on `switch.sock`, `router.sock` and `outside.sock` in its working folder and locks `switch.pid` there, which says
that it lives and who it is. A port is a connection; a frame is its length, four bytes, big-endian, and its bytes. Like a
wire it loses frames that a machine does not take. Standard library only; ends on SIGTERM.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from collections import OrderedDict
from pathlib import Path

SOCKET, PID_FILE = Path("switch.sock"), Path("switch.pid")
ROUTER_SOCKET = Path("router.sock")
"""For the router, which is given nothing that is not meant for it: see `RouterPort`."""
OUTSIDE_SOCKET = Path("outside.sock")
"""For what joins the wire to a network of the host: see `OutsidePort`."""

LARGEST_FRAME = 69632
"""QEMU's NET_BUFSIZE: it sends nothing larger. A port that does is out of step, and is closed."""

SMALLEST_FRAME = 14
"""An Ethernet header."""

BACKLOG = 1024 * 1024
"""Bytes that wait for one port; further frames to it are lost."""

MOST_STATIONS = 4096
"""Addresses that are remembered of machines, and as many of what is outside; frames to others go to every port."""

MOST_PORTS = 1024

ROUTER_PREFIX = b"\x52\x55"
"""How the addresses of user-mode networking begin; machines' begin with 52:54."""


class Stations:
    """Where addresses are: those that spoke last, never more than the bound."""

    def __init__(self) -> None:
        self._ports: OrderedDict[bytes, Port] = OrderedDict()

    def learn(self, station: bytes, port: Port) -> None:
        """A group's address is nobody's."""
        if station[0] & 1:
            return
        self._ports[station] = port
        self._ports.move_to_end(station)
        if len(self._ports) > MOST_STATIONS:
            self._ports.popitem(last=False)

    def find(self, station: bytes) -> Port | None:
        return self._ports.get(station)

    def forget(self, port: Port) -> None:
        for station in [station for station, at in self._ports.items() if at is port]:
            del self._ports[station]


class Switch:
    """What is outside cannot take a machine's address from it, nor have it forgotten: its stations are counted apart."""

    def __init__(self) -> None:
        self.ports: set[Port] = set()
        self._machines, self._others = Stations(), Stations()

    def forward(self, source: Port, frame: bytes) -> None:
        (self._others if source.is_outside else self._machines).learn(frame[6:12], source)
        target = self._machines.find(frame[:6]) or self._others.find(frame[:6])
        if target is source:
            return
        for port in (target,) if target else self.ports - {source}:
            if port.wants(frame[:6]):
                port.send(frame)

    def leave(self, port: Port) -> None:
        self.ports.discard(port)
        for stations in (self._machines, self._others):
            stations.forget(port)


class Port(asyncio.Protocol):
    """One machine's connection."""

    is_outside = False
    _transport: asyncio.Transport

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._switch.ports) >= MOST_PORTS:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=2 * BACKLOG)
        self._switch.ports.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._switch.leave(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        start, end = 0, len(self._received)
        while end - start >= 4:
            length = int.from_bytes(self._received[start : start + 4], "big")
            if length > LARGEST_FRAME:
                self._transport.abort()
                return
            if end - start - 4 < length:
                break
            if length >= SMALLEST_FRAME:
                self._switch.forward(self, bytes(self._received[start + 4 : start + 4 + length]))
            start += 4 + length
        del self._received[:start]

    def wants(self, destination: bytes) -> bool:
        """Whether a frame to this address may be sent here."""
        return True

    def send(self, frame: bytes) -> None:
        if self._transport.get_write_buffer_size() < BACKLOG:
            self._transport.write(len(frame).to_bytes(4, "big") + frame)


class RouterPort(Port):
    """User-mode networking takes every frame for its own, and would refuse connections in the name of other machines."""

    def wants(self, destination: bytes) -> bool:
        return bool(destination[0] & 1) or destination[:2] == ROUTER_PREFIX


class OutsidePort(Port):
    """A network of the host, in which anybody may send in anybody's name."""

    is_outside = True


def claim(path: Path) -> int:
    """Lock the pid file for as long as this process lives. Raises BlockingIOError where another one holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


async def serve() -> None:
    switch, ended = Switch(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    os.umask(0o077)
    # asyncio takes the place of a socket that a killed switch has left.
    async with (
        await loop.create_unix_server(lambda: RouterPort(switch), ROUTER_SOCKET),
        await loop.create_unix_server(lambda: OutsidePort(switch), OUTSIDE_SOCKET),
        await loop.create_unix_server(lambda: Port(switch), SOCKET),
    ):
        await ended.wait()


if __name__ == "__main__":
    try:
        claim(PID_FILE)
    except BlockingIOError:
        sys.exit("another switch serves this folder")
    asyncio.run(serve())
