"""The switch, as the process that it is, with connections in the place of machines."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from kube_provision_qemu import switch

BROADCAST = b"\xff" * 6
A, B, C, ROUTER = b"\x52\x54\0\0\0\x0a", b"\x52\x54\0\0\0\x0b", b"\x52\x54\0\0\0\x0c", b"\x52\x55\x0a\0\x02\x02"
WITNESS, NEWCOMER = b"\x52\x54\0\0\0\x0d", b"\x52\x54\0\0\0\x0e"
NEIGHBOUR = b"\x02\0\0\0\0\x01"

Connect = Callable[..., "Wire"]


class Wire:
    """A machine's end of the wire."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.socket.settimeout(5)

    def send(self, to: bytes, sender: bytes, text: bytes = b"hello") -> None:
        frame = to + sender + b"\x08\0" + text
        self.socket.sendall(len(frame).to_bytes(4, "big") + frame)

    def receive(self) -> bytes:
        """What the next frame says."""
        length = int.from_bytes(self._exactly(4), "big")
        return self._exactly(length)[14:]

    def hears_nothing(self) -> bool:
        self.socket.settimeout(0.2)
        try:
            return self.socket.recv(1) == b"never"
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(5)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            assert chunk, "the switch hung up"
            data += chunk
        return data


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A switch that serves the folder, ended afterwards."""
    command = [sys.executable, "-m", "kube_provision_qemu.switch"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + 60
            while process.poll() is None and not _serves(folder):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


def _serves(folder: Path) -> bool:
    try:
        Wire(folder / switch.SOCKET).socket.close()
    except OSError:
        return False
    return True


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with running(tmp_path) as process:
        yield process


@pytest.fixture
def connect(process: subprocess.Popen[bytes], tmp_path: Path) -> Iterator[Connect]:
    witness = Wire(tmp_path / switch.SOCKET)
    witness.send(WITNESS, WITNESS)
    wires = [witness]

    def make(path: Path = switch.SOCKET) -> Wire:
        """Plugged in: the kernel takes a connection before the switch does, which forwards nothing to it until then."""
        wire = Wire(tmp_path / path)
        wires.append(wire)
        wire.send(WITNESS, NEWCOMER)
        assert witness.receive() == b"hello"
        return wire

    yield make
    for wire in wires:
        wire.socket.close()


def introduce(*stations: tuple[Wire, bytes]) -> None:
    """Have every station known to the switch, and every greeting read."""
    for wire, address in stations:
        wire.send(BROADCAST, address)
        for other, _ in stations:
            if other is not wire:
                other.receive()


def test_a_broadcast_reaches_everyone_else(connect: Connect) -> None:
    a, b, c = connect(), connect(), connect()
    introduce((a, A), (b, B), (c, C))
    a.send(BROADCAST, A, b"who is there")
    assert (b.receive(), c.receive()) == (b"who is there", b"who is there")
    assert a.hears_nothing()


def test_a_frame_to_a_known_station_reaches_it_alone(connect: Connect) -> None:
    a, b, c = connect(), connect(), connect()
    introduce((a, A), (b, B), (c, C))
    a.send(B, A, b"for b")
    assert b.receive() == b"for b"
    assert c.hears_nothing()


def test_a_frame_to_an_unknown_station_reaches_every_machine_and_not_the_router(connect: Connect) -> None:
    a, b, router = connect(), connect(), connect(switch.ROUTER_SOCKET)
    introduce((a, A), (router, ROUTER))
    assert [b.receive(), b.receive()] == [b"hello", b"hello"]
    a.send(B, A, b"for b")
    assert b.receive() == b"for b"
    assert router.hears_nothing()


def test_the_router_is_given_what_is_meant_for_it(connect: Connect) -> None:
    a, router = connect(), connect(switch.ROUTER_SOCKET)
    introduce((a, A), (router, ROUTER))
    a.send(ROUTER, A, b"out")
    a.send(BROADCAST, A, b"who is the router")
    assert [router.receive(), router.receive()] == [b"out", b"who is the router"]


def test_a_station_is_found_where_it_spoke_last(connect: Connect) -> None:
    a, b, c = connect(), connect(), connect()
    introduce((a, A), (b, B))
    c.send(A, B, b"b is here now")
    assert a.receive() == b"b is here now"
    a.send(B, A, b"for b")
    assert [c.receive() for _ in range(3)] == [b"hello", b"hello", b"for b"]


def fill(wire: Wire, *others: Wire) -> None:
    """Have more stations speak there than are remembered, of which the others hear the last one."""
    for number in range(switch.MOST_STATIONS):
        station = b"\x02\0" + (number + 2).to_bytes(4, "big")
        wire.send(station, station)
    wire.send(BROADCAST, NEIGHBOUR)
    for other in others:
        other.receive()


@pytest.mark.parametrize("place", [switch.SOCKET, switch.OUTSIDE_SOCKET])
def test_a_machine_is_found_however_many_spoke_before_it(connect: Connect, place: Path) -> None:
    a, b, c, crowd = connect(), connect(), connect(), connect(place)
    introduce((crowd, NEIGHBOUR), (a, A))
    assert [b.receive(), b.receive(), c.receive(), c.receive()] == [b"hello"] * 4
    fill(crowd, a, b, c)
    introduce((a, A), (b, B), (c, C))
    a.send(B, A, b"for b")
    assert b.receive() == b"for b"
    assert c.hears_nothing()


def test_nobody_outside_has_a_machine_forgotten(connect: Connect) -> None:
    a, b, c, outside = connect(), connect(), connect(), connect(switch.OUTSIDE_SOCKET)
    introduce((a, A), (b, B), (c, C), (outside, NEIGHBOUR))
    fill(outside, a, b, c)
    a.send(B, A, b"for b")
    assert b.receive() == b"for b"
    assert c.hears_nothing()
    assert outside.hears_nothing()


def test_nobody_outside_takes_a_machines_address_while_it_is_there(connect: Connect) -> None:
    a, b, outside = connect(), connect(), connect(switch.OUTSIDE_SOCKET)
    introduce((a, A), (b, B), (outside, NEIGHBOUR))
    outside.send(B, A, b"this is a")
    assert b.receive() == b"this is a"
    b.send(A, B, b"for a")
    assert a.receive() == b"for a"
    assert outside.hears_nothing()
    a.socket.close()
    for _ in range(25):  # until the switch has seen that it is gone
        b.send(A, B, b"wherever a is")
        if not outside.hears_nothing():
            return
    raise AssertionError("the address is nobody's")


def test_frames_may_come_in_pieces_and_together(connect: Connect) -> None:
    a, b = connect(), connect()
    introduce((a, A), (b, B))
    frame = B + A + b"\x08\0" + b"slowly"
    data = (len(frame).to_bytes(4, "big") + frame) * 2
    for piece in (data[:2], data[2:9], data[9:]):
        a.socket.sendall(piece)
        time.sleep(0.02)
    assert [b.receive(), b.receive()] == [b"slowly", b"slowly"]


def test_a_machine_that_takes_nothing_stops_nobody(connect: Connect, process: subprocess.Popen[bytes]) -> None:
    a, deaf, c = connect(), connect(), connect()
    introduce((a, A), (deaf, B), (c, C))
    for _ in range(200):
        a.send(B, A, b"x" * 60000)
    a.send(C, A, b"for c")
    assert c.receive() == b"for c"
    assert _memory_mib(process.pid) < 60


def _memory_mib(pid: int) -> int:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) // 1024


def test_a_connection_that_speaks_another_language_is_closed(connect: Connect) -> None:
    a, b, stranger = connect(), connect(), connect()
    stranger.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    # With or without a reset: what it sent last was not read.
    with suppress(ConnectionResetError):
        assert stranger.socket.recv(1) == b""
    introduce((a, A), (b, B))


def test_a_second_switch_in_the_folder_says_so_and_ends(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kube_provision_qemu.switch"]
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
    assert (second.returncode, second.stderr) == (1, b"another switch serves this folder\n")
    assert process.poll() is None


def test_a_switch_that_was_killed_is_in_nobodys_way(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    process.kill()
    process.wait(60)
    with running(tmp_path) as second:
        assert second.poll() is None


def test_a_switch_that_is_told_to_end_does_so(process: subprocess.Popen[bytes], connect: Connect) -> None:
    connect()
    process.terminate()
    assert process.wait(60) == 0
