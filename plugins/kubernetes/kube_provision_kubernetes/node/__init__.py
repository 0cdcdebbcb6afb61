"""The node's side of discovery by the cluster's own API: what the core's programs on a node ask.

Runs on a node, as the package `discovery`: standard library only, Python 3.9. What it is told lies in discovery.json and
discovery-token beside node.json; what it has learnt, and noted, in /var/lib/kube-provision.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .api import Api, Credential, EarlyError, Place, RefusedError, SilentError, UnavailableError, read_token
from .carrier import Carrier, read_rights
from .follow import Registry, ready_ones
from .lease import Lease
from .note import Note
from .record import Record, Versioned

TOKEN = "discovery-token"  # noqa: S105 - the name of a file
RIGHTS = "discovery-rights.json"
_LOOK = 3.0
"""Seconds between two looks at the masters themselves."""
_REFRESH = 15.0
"""Seconds after which the lists are read again, whatever their watches say."""
_ADVICE = "set kubernetes_bind_interface"
_ANYWHERE = "192.0.2.1"
"""An address of nobody (RFC 5737): the route to it is the default route."""


class Learnt:
    """Addresses of masters that this machine has seen ready: they outlive a reboot, and seeds that are gone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[str]:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self._path.read_text())
            return [str(address) for address in found] if isinstance(found, list) else []
        return []

    def keep(self, addresses: Sequence[str]) -> None:
        """As far as it can be: nothing rests on it but how soon a master is found."""
        if addresses and list(addresses) != self.read():
            part = self._path.with_name(f".{self._path.name}.new")
            with contextlib.suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                part.write_text(json.dumps(list(addresses)))
                part.replace(self._path)


@dataclass(frozen=True)
class Client:
    """See `kube_provision_node.client`."""

    api: Api
    name: str
    cluster: str
    api_port: int
    seeds: Sequence[str]
    learnt: Learnt
    interface: str
    carrier: Carrier | None
    """Of the machine that may initialise the cluster."""

    def address(self) -> str:
        return own_address(self.interface, [*self.learnt.read(), *self.seeds])

    def read_record(self) -> Versioned | None:
        with self._telling():
            return self._record.read()

    def create_record(self, content: dict[str, str]) -> bool:
        with self._telling():
            return self._record.create(content)

    def replace_record(self, content: dict[str, str], version: str) -> bool:
        with self._telling():
            return self._record.replace(content, version)

    @contextlib.contextmanager
    def lock(self, limit: float) -> Iterator[None]:
        """The carrier needs none until others may join it."""
        with self._telling():
            lease = None if self.carrier and self.carrier.alone else Lease(self.api, f"join-{self.cluster}", self.name)
            if lease:
                lease.acquire(limit)
        try:
            yield
        finally:
            if lease:
                lease.release()

    def register(self) -> None:
        with self._telling():
            self._registry.register(self.name, self.address())

    def withdraw(self) -> None:
        with self._telling():
            self._registry.withdraw(self.name, self.address())

    def masters(self, index: str, wait: float) -> tuple[str, list[str]]:
        deadline = time.monotonic() + wait
        with self._telling():
            known = self._registry.read()
        while True:
            refresh = time.monotonic() + min(_REFRESH, wait)
            watch = self._registry.watch(known, _REFRESH) if index else None
            try:
                while True:
                    addresses = ready_ones({address: (address, self.api_port) for address in known.addresses})
                    new, left = _hash(addresses), deadline - time.monotonic()
                    if new != index or left <= 0 or watch is None:
                        self.learnt.keep(addresses)
                        return new, addresses
                    if watch.changed.wait(min(_LOOK, left)) or time.monotonic() > refresh:
                        break
            finally:
                if watch:
                    watch.close()
            with contextlib.suppress(UnavailableError):  # who is known is looked at all the same
                known = self._registry.read()

    @property
    def _record(self) -> Record | Carrier:
        return self.carrier or Record(self.api, self.cluster)

    @property
    def _registry(self) -> Registry:
        return Registry(self.api, self.cluster)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """A machine that has never seen a master ready waits for the first one, which is no trouble."""
        try:
            yield
        except (SilentError, RefusedError) as problem:
            if self.learnt.read():
                raise
            raise EarlyError(str(problem)) from problem


def connect(node: dict[str, Any], folder: Path) -> Client:
    """The client for the node that `node` (node.json) describes, with the driver's own files from `folder`."""
    own = json.loads((folder / "discovery.json").read_text())
    root = folder.parent.parent
    state = root / "var/lib/kube-provision"
    learnt, seeds, port = Learnt(state / "discovery-masters.json"), own["seeds"], int(own["port"])

    def place() -> Place:
        address = own_address(own["interface"], [*learnt.read(), *seeds])
        return Place(address, address, port)

    def places() -> list[Place]:
        """A master may be the only one that there is."""
        known = [Place(address, address, port) for address in (*learnt.read(), *seeds)]
        if node["role"] == "master":
            with contextlib.suppress(UnavailableError):
                known.append(place())
        return known

    api = Api(places, Credential(own["ca"], read_token(folder, TOKEN)))
    record = Record(api, node["cluster"])
    administrator, rights = root / "etc/kubernetes/admin.conf", folder / RIGHTS
    note = Note(state / "discovery-carrier.json")
    carrier = Carrier(note, record, place, administrator, read_rights(rights)) if node.get("may_init") else None
    port_of_masters = int(node.get("api_port", 6443))
    return Client(api, node["name"], node["cluster"], port_of_masters, seeds, learnt, own["interface"], carrier)


def own_address(interface: str, masters: Sequence[str]) -> str:
    """That of `interface`, else the source address of this machine's route to the first master that it has one to, or to
    anywhere; where it has none, the only address that it has.

    Nothing is sent. Raises `UnavailableError`.
    """
    if interface:
        try:
            return _address_on(interface)
        except OSError as problem:
            raise UnavailableError(f"interface {interface} has no IPv4 address ({problem}): {_ADVICE}") from problem
    for host in (*masters, _ANYWHERE):
        with contextlib.suppress(OSError):
            return _source_of_route(host)
    found = list(_addresses())
    if len(found) == 1:
        return found[0]
    had = f"has several IPv4 addresses ({', '.join(found)})" if found else "has no IPv4 address"
    raise UnavailableError(f"this machine {had}, and no route to {', '.join(masters) or 'anywhere'}: {_ADVICE}")


def _addresses() -> Iterator[str]:
    """Of all interfaces but loopback's."""
    for _, interface in socket.if_nameindex():
        with contextlib.suppress(OSError):
            address = _address_on(interface)
            if not address.startswith("127."):
                yield address


def _address_on(interface: str) -> str:
    with _probe() as probe:
        request = struct.pack("256s", interface.encode()[:15])
        siocgifaddr = 0x8915
        return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), siocgifaddr, request)[20:24])


def _source_of_route(host: str) -> str:
    with _probe() as probe:
        probe.connect((host, 6443))
        return str(probe.getsockname()[0])


def _probe() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def _hash(addresses: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(addresses)).encode()).hexdigest()
