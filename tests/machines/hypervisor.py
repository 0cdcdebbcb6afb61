"""What runs hosts, in the process of the tests; drivers in other processes reach it through a socket.

with Hypervisor(tmp_path, network, image_of) as hypervisor: ...     # where the tests are
Remote(hypervisor.socket).records()                                 # anywhere else
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from machines.image import Image
from machines.network import PREFIX, Network
from machines.nspawn import Host

from kube_provision_core import Boot, Power, Stamp, TargetError, replace_file

STATUS = "status.json"
"""What a host's publisher writes into the folder that it shares with the hypervisor."""
EMPTY = "#cloud-config\n{}\n"
KERNELS = {"usr/local/sbin/modprobe": "load its modules", "usr/local/sbin/swapoff": "switch its swap off"}
"""Programs that a host has no business with: the kernel is that of the machine that runs it."""
TASK = "task"
"""The file in that folder that holds the task which waits for the host."""
_CALLS = ("create", "start", "records", "scrub", "deliver", "restamp", "destroy")


@dataclass(frozen=True)
class Record:
    """A machine, as the hypervisor knows it."""

    name: str
    id: str
    power: Power
    stamp: Stamp
    address: str
    status: str
    """The JSON text that it published last; empty if none."""
    scrubbed: bool
    task: bytes = b""


class Hypervisor:
    """Machines by name, with the network's addresses in the order in which they were created."""

    def __init__(self, folder: Path, network: Network, image_of: Callable[[str], Image]) -> None:
        """A host's image is what `image_of` says of its name."""
        self.socket = str(folder / "hypervisor.sock")
        self.hosts: dict[str, Host] = {}
        """Those that exist, by name."""
        self._stamps: dict[str, Stamp] = {}
        self._folder, self._network, self._image_of = folder, network, image_of
        self._next = 10
        self._lock = threading.RLock()
        self._over = threading.Event()
        # Whatever starts a host, or its link, must live as long as that: not one of the threads that serve a driver.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="hosts")
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._starter.submit(int).result()
        listener = self._stack.enter_context(Listener(self.socket, "AF_UNIX"))
        acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        acceptor.start()
        self._stack.callback(self._end, acceptor)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
        for host in list(self.hosts.values()):
            host.destroy()
        self._starter.shutdown()

    def create(self, name: str, stamp: Stamp, boot: Boot, address: str | None = None) -> None:
        """Off. Nothing happens if it exists and is of that cluster; raises `TargetError` if it is another's.

        `address`: None for the network's next.
        """
        with self._lock:
            if name in self.hosts:
                if self._stamps[name].cluster_id != stamp.cluster_id:
                    raise TargetError(f"{name} exists and is not ours; it is left alone")
                return
            if address is None:
                self._next += 1
                address = f"{PREFIX}.{self._next}"
            link = self._starter.submit(self._network.link, name, address).result()
            host = Host(name, self._folder, self._image_of(name), link)
            host.insert_seed(boot.instance_id, boot.user_data)
            for path, what in KERNELS.items():
                host.install(path, f"#!/bin/sh\necho 'the kernel is not this host\\''s to {what}' >&2\nexit 1\n")
            self.hosts[name] = host
            self._stamps[name] = stamp

    def start(self, name: str) -> None:
        with self._lock:
            host = self.hosts[name]
            if not host.on:
                self._starter.submit(host.start).result()

    def records(self) -> list[Record]:
        with self._lock:
            return [self._record(host) for host in self.hosts.values()]

    def scrub(self, name: str) -> None:
        self.hosts[name].replace_user_data(EMPTY)

    def deliver(self, host_id: str, stamp: Stamp, task: bytes | None) -> None:
        """To that host alone; raises `TargetError` if another bears its stamp by now."""
        with self._lock:
            path = self._own(host_id, stamp).folder / "channel" / TASK
            if task is None:
                path.unlink(missing_ok=True)
            else:
                replace_file(path, task)

    def restamp(self, host_id: str, before: Stamp, stamp: Stamp) -> None:
        """That host alone, as above."""
        with self._lock:
            self._stamps[self._own(host_id, before, stamp).name] = stamp

    def _own(self, host_id: str, *stamps: Stamp) -> Host:
        host = next((host for host in self.hosts.values() if host.folder.name == host_id), None)
        if host is None or self._stamps[host.name] not in stamps:
            raise TargetError(f"{host_id} is not the machine that it was; it is left alone")
        return host

    def destroy(self, host_id: str, cluster_id: str) -> None:
        """Nothing happens if it is gone; raises `TargetError` if it is not of that cluster."""
        with self._lock:
            found = next((host for host in self.hosts.values() if host.folder.name == host_id), None)
            if found is None:
                return
            if self._stamps[found.name].cluster_id != cluster_id:
                raise TargetError(f"{found.name} is not ours; it is left alone")
            self.remove(found.name)

    def remove(self, name: str) -> None:
        """As somebody would who does not ask us."""
        with self._lock:
            host = self.hosts.pop(name)
            host.destroy()
            self._network.unplug(host.link)

    def _record(self, host: Host) -> Record:
        status = ""
        with suppress(OSError):
            status = (host.folder / "channel" / STATUS).read_text()
        task = b""
        with suppress(FileNotFoundError):
            task = (host.folder / "channel" / TASK).read_bytes()
        power = Power.ON if host.on else Power.OFF
        scrubbed = host.user_data == EMPTY
        return Record(host.name, host.folder.name, power, self._stamps[host.name], host.address, status, scrubbed, task)

    # --- for drivers --------------------------------------------------------------------------------------------------

    def _accept(self, listener: Listener) -> None:
        while True:
            connection = listener.accept()
            if self._over.is_set():
                connection.close()
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _end(self, acceptor: threading.Thread) -> None:
        """A thread that still accepts when its socket is closed might accept what is meant for the next hypervisor."""
        self._over.set()
        Client(self.socket, "AF_UNIX").close()
        acceptor.join(10)

    def _serve(self, connection: Connection) -> None:
        with connection, suppress(EOFError, OSError):
            call, arguments = connection.recv()
            try:
                connection.send((getattr(self, call)(*arguments), None))
            except (TargetError, OSError, RuntimeError) as error:
                connection.send((None, TargetError(str(error))))


class Remote:
    """The calls of a `Hypervisor` that drivers make, from another process."""

    def __init__(self, socket: str) -> None:
        self._socket = socket

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _CALLS:
            raise AttributeError(name)
        return lambda *arguments: self._call(name, *arguments)

    def _call(self, name: str, *arguments: object) -> Any:
        try:
            with Client(self._socket, "AF_UNIX") as connection:
                connection.send((name, _plain(arguments)))
                answer, error = connection.recv()
        except OSError as problem:
            raise TargetError(f"the hypervisor at {self._socket} does not answer: {problem}") from problem
        if error is not None:
            raise error
        return answer


def _plain(arguments: tuple[object, ...]) -> tuple[object, ...]:
    """A boot's files are its user data once more."""
    return tuple(replace(item, files=()) if isinstance(item, Boot) else item for item in arguments)
