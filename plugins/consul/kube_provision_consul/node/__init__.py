"""The node's side of discovery by Consul: what the core's programs on a node ask, answered by the node's own Consul agent.

Runs on a node, as the package `discovery`: standard library only, Python 3.9. What it is told about the cluster lies in
discovery.json beside node.json.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from .api import Agent, UnavailableError, duration
from .lock import Lock

_CHECK_INTERVAL = "3s"
GOSSIP_PORT = 8301
CLUSTER_ID_META = "kube-provision-cluster-id"
"""Metadata of every agent of a cluster, so that another of the same name is told from it."""
_ANYWHERE = "192.0.2.1"
"""An address of nobody (RFC 5737): the route to it is the default route."""


class Versioned(NamedTuple):
    """The record, and the index that says whether it has changed since."""

    content: dict[str, str]
    version: int


@dataclass(frozen=True)
class Client:
    """See `kube_provision_node.client`."""

    agent: Agent
    node: str
    cluster: str
    cluster_id: str
    api_port: int
    servers: Sequence[str]
    """Addresses or names of Consul's servers; empty on a server."""
    interface: str

    @property
    def _record(self) -> str:
        return f"/v1/kv/kube-provision/{quote(self.cluster)}/record"

    @property
    def _service(self) -> str:
        return f"kube-provision-{self.cluster}"

    def address(self) -> str:
        return own_address(self.interface, self.servers)

    def read_record(self) -> Versioned | None:
        answer = self.agent.ask("GET", self._record, {"consistent": ""})
        if answer.status == 404:
            return None
        entry = answer.json()[0]
        try:
            return Versioned(dict(json.loads(base64.b64decode(entry["Value"]))), entry["ModifyIndex"])
        except (TypeError, ValueError) as problem:
            raise UnavailableError(f"the record of cluster {self.cluster} in Consul is unreadable: {problem}") from problem

    def create_record(self, content: dict[str, str]) -> bool:
        return self.replace_record(content, 0)  # Consul's word for "only if there is none"

    def replace_record(self, content: dict[str, str], version: int) -> bool:
        return bool(self.agent.ask("PUT", self._record, {"cas": str(version)}, json.dumps(content)).json())

    @contextlib.contextmanager
    def lock(self, limit: float) -> Iterator[None]:
        lock = Lock(self.agent, f"kube-provision/{self.cluster}/lock", self.node)
        try:
            lock.acquire(limit)
            yield
        finally:
            lock.release()

    def register(self) -> None:
        """A service that is registered already is left alone: once more would make its check critical for a moment."""
        definition = self._definition()
        if not self._is_registered(definition):
            self.agent.ask("PUT", "/v1/agent/service/register", {"replace-existing-checks": "true"}, json.dumps(definition))

    def withdraw(self) -> None:
        """Asks first: where Consul has ACLs, it answers 500 for a service that there is not."""
        if self._registered() is not None:
            self.agent.ask("PUT", f"/v1/agent/service/deregister/{quote(self._service)}", {})

    def masters(self, index: str, wait: float) -> tuple[str, list[str]]:
        query = {"passing": "", "wait": duration(wait), **({"index": index} if index else {})}
        answer = self.agent.ask("GET", f"/v1/health/service/{quote(self._service)}", query, wait=wait)
        if answer.status != 200:
            raise UnavailableError(f"the Consul agent at {self.agent.address} does not know services")
        entries = filter(self._is_ours, answer.json())
        addresses = {entry["Service"]["Address"] or entry["Node"]["Address"] for entry in entries}
        if not addresses:
            self.agent.check_rights()  # what a token may not see is left out, without a word
        return _next_index(index, answer.index), sorted(addresses)

    def _is_ours(self, entry: dict[str, Any]) -> bool:
        return (entry["Node"].get("Meta") or {}).get(CLUSTER_ID_META) == self.cluster_id

    def _definition(self) -> dict[str, Any]:
        return {
            "ID": self._service,
            "Name": self._service,
            "Address": self.address(),
            "Port": self.api_port,
            "Check": {
                "Name": "API server is ready",
                "HTTP": f"https://127.0.0.1:{self.api_port}/readyz",
                "TLSSkipVerify": True,
                "Interval": _CHECK_INTERVAL,
                "Timeout": "3s",
                "DeregisterCriticalServiceAfter": "30m",
            },
        }

    def _is_registered(self, definition: dict[str, Any]) -> bool:
        known = self._registered()
        return bool(known and known["Address"] == definition["Address"] and known["Port"] == definition["Port"])

    def _registered(self) -> dict[str, Any] | None:
        answer = self.agent.ask("GET", f"/v1/agent/service/{quote(self._service)}", {})
        return None if answer.status == 404 else dict(answer.json())


def _next_index(before: str, after: str) -> str:
    """The index to ask with next; one that has gone backwards, or is none, starts again (Consul's own rule)."""
    if not after.isdigit() or int(after) < 1 or (before.isdigit() and int(after) < int(before)):
        return ""
    return after


def connect(node: dict[str, Any], folder: Path) -> Client:
    """The client for the node that `node` (node.json) describes, with the driver's own discovery.json from `folder`."""
    own = json.loads((folder / "discovery.json").read_text())
    return Client(
        agent=Agent.of(own, folder),
        node=node["name"],
        cluster=node["cluster"],
        cluster_id=node["cluster_id"],
        api_port=int(node.get("api_port", 6443)),
        servers=own["servers"],
        interface=own["interface"],
    )


def own_address(interface: str, servers: Sequence[str]) -> str:
    """That of `interface`, else the source address of this machine's route to the first server that it has one to.

    Nothing is sent. Raises `UnavailableError`.
    """
    if interface:
        with _telling(f"interface {interface}"), _probe() as probe:
            request = struct.pack("256s", interface.encode()[:15])
            siocgifaddr = 0x8915
            return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), siocgifaddr, request)[20:24])
    *others, last = servers or [_ANYWHERE]
    for server in others:
        with contextlib.suppress(OSError):
            return _source_of_route(server)
    with _telling(f"the route to {', '.join(servers) or 'anywhere'}"):
        return _source_of_route(last)


def _source_of_route(server: str) -> str:
    with _probe() as probe:
        probe.connect((server, GOSSIP_PORT))
        return str(probe.getsockname()[0])


def _probe() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


@contextlib.contextmanager
def _telling(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise UnavailableError(
            f"this machine has no IPv4 address on {where} ({problem}): set consul_bind_interface"
        ) from problem
