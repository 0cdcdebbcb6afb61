"""The node's side of discovery by Consul: what the core's programs on a node ask, answered by the node's own Consul agent.

Runs on a node: standard library only, Python 3.9. What it is told about the cluster lies in discovery.json beside node.json.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

log = logging.getLogger(__name__)

AGENT = "127.0.0.1:8500"

_TIMEOUT = 10.0
_TTL = 30.0
"""Seconds without renewal after which Consul frees a lock; it may take twice as long."""
_LOCK_DELAY = "5s"
"""How long Consul keeps a lock closed whose holder has died: it may still be about to write."""
_LOCK_WAIT = 10.0
_CHECK_INTERVAL = "3s"
GOSSIP_PORT = 8301
_ANYWHERE = "192.0.2.1"
"""An address of nobody (RFC 5737): the route to it is the default route."""


class UnavailableError(Exception):
    """Consul cannot be asked, or does not know. Says where and why."""


class BusyError(UnavailableError):
    """Consul answers, but somebody else holds the lock."""

    busy = True


class Versioned(NamedTuple):
    """The record, and the index that says whether it has changed since."""

    content: dict[str, str]
    version: int


@dataclass(frozen=True)
class Answer:
    status: int
    index: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Agent:
    """The HTTP interface of the Consul agent on this machine. It adds its own token; none is kept here."""

    address: str = AGENT

    def ask(self, method: str, path: str, query: dict[str, str], body: str = "", wait: float = 0.0) -> Answer:
        """One request, bounded by `wait` and a little more. Raises `UnavailableError` but for an answer of 200 or 404."""
        host, _, port = self.address.rpartition(":")
        connection = HTTPConnection(host, int(port), timeout=_TIMEOUT + wait + wait / 16)  # Consul adds up to a 16th
        try:
            connection.request(method, f"{path}?{urlencode(query)}", body or None)
            response = connection.getresponse()
            answer = Answer(response.status, response.getheader("X-Consul-Index", ""), response.read())
        except (OSError, HTTPException) as problem:
            reason = str(problem) or type(problem).__name__
            raise UnavailableError(f"the Consul agent at {self.address} does not answer: {reason}") from problem
        finally:
            connection.close()
        if answer.status not in (200, 404):
            reason = answer.body.decode(errors="replace").strip()[:200]
            raise UnavailableError(f"the Consul agent at {self.address} answers {answer.status}: {reason}")
        return answer


class Lock:
    """A key held by a session that is renewed until the end; one that is not renewed, or whose node dies, frees itself."""

    def __init__(self, agent: Agent, key: str, holder: str) -> None:
        self._agent = agent
        self._path = f"/v1/kv/{quote(key)}"
        self._holder = holder
        self._session = ""
        self._over = threading.Event()

    def acquire(self, limit: float) -> None:
        deadline = time.monotonic() + limit
        session = {"Name": f"kube-provision {self._holder}", "TTL": f"{_TTL:.0f}s", "LockDelay": _LOCK_DELAY}
        self._session = self._agent.ask("PUT", "/v1/session/create", {}, json.dumps(session)).json()["ID"]
        threading.Thread(target=self._renew, daemon=True).start()
        while self._agent.ask("PUT", self._path, {"acquire": self._session}, self._holder).json() is not True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise BusyError(f"the lock of the cluster was not free within {limit:.0f} s: {self._told_holder()}")
            self._wait_for_release(min(left, _LOCK_WAIT))

    def release(self) -> None:
        """Free the lock by ending its session; Consul, if it cannot be told, ends it by itself."""
        self._over.set()
        if self._session:
            with contextlib.suppress(UnavailableError):
                self._agent.ask("PUT", self._path, {"release": self._session}, self._holder)
                self._agent.ask("PUT", f"/v1/session/destroy/{self._session}", {})

    def _renew(self) -> None:
        while not self._over.wait(_TTL / 3):
            try:
                answer = self._agent.ask("PUT", f"/v1/session/renew/{self._session}", {})
            except UnavailableError as problem:
                log.warning("the lock could not be renewed: %s", problem)
                continue
            if answer.status == 404:
                log.warning("the lock of the cluster is lost; what runs goes on")
                return

    def _wait_for_release(self, limit: float) -> None:
        entry, index = self._entry()
        if entry and entry.get("Session"):
            query = {"index": index, "wait": _duration(limit)}
            self._agent.ask("GET", self._path, query, wait=limit)
        else:
            time.sleep(min(limit, 1.0))  # free, but closed for the lock's delay

    def _told_holder(self) -> str:
        entry, _ = self._entry()
        return base64.b64decode(entry["Value"] or "").decode(errors="replace") if entry else "nobody says who holds it"

    def _entry(self) -> tuple[dict[str, Any] | None, str]:
        answer = self._agent.ask("GET", self._path, {"consistent": ""})
        return (answer.json()[0] if answer.status == 200 else None), answer.index


@dataclass(frozen=True)
class Client:
    """See `choreography.Client`."""

    agent: Agent
    node: str
    cluster: str
    api_port: int
    discovery_address: str
    interface: str

    @property
    def _record(self) -> str:
        return f"/v1/kv/kube-provision/{quote(self.cluster)}/record"

    @property
    def _service(self) -> str:
        return f"kube-provision-{self.cluster}"

    def address(self) -> str:
        return own_address(self.interface, self.discovery_address)

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

    def masters(self, index: str, wait: float) -> tuple[str, list[str]]:
        query = {"passing": "", "wait": _duration(wait), **({"index": index} if index else {})}
        answer = self.agent.ask("GET", f"/v1/health/service/{quote(self._service)}", query, wait=wait)
        if answer.status != 200:
            raise UnavailableError(f"the Consul agent at {self.agent.address} does not know services")
        entries = answer.json()
        addresses = {entry["Service"]["Address"] or entry["Node"]["Address"] for entry in entries}
        return _next_index(index, answer.index), sorted(addresses)

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
        answer = self.agent.ask("GET", f"/v1/agent/service/{quote(self._service)}", {})
        if answer.status == 404:
            return False
        known = answer.json()
        return bool(known["Address"] == definition["Address"] and known["Port"] == definition["Port"])


def _duration(seconds: float) -> str:
    """As Consul reads it, and never zero: it takes that for its own five minutes."""
    return f"{max(1, round(seconds * 1000))}ms"


def _next_index(before: str, after: str) -> str:
    """The index to ask with next; one that has gone backwards, or is none, starts again (Consul's own rule)."""
    if not after.isdigit() or int(after) < 1 or (before.isdigit() and int(after) < int(before)):
        return ""
    return after


def connect(node: dict[str, Any], folder: Path) -> Client:
    """The client for the node that `node` (node.json) describes, with the driver's own discovery.json from `folder`."""
    own = json.loads((folder / "discovery.json").read_text())
    return Client(
        agent=Agent(own.get("agent", AGENT)),
        node=node["name"],
        cluster=node["cluster"],
        api_port=int(node.get("api_port", 6443)),
        discovery_address=own["server"],
        interface=own["interface"],
    )


def own_address(interface: str, destination: str) -> str:
    """That of `interface`, else the source address of this machine's route to `destination`. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            if interface:
                request = struct.pack("256s", interface.encode()[:15])
                siocgifaddr = 0x8915
                return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), siocgifaddr, request)[20:24])
            probe.connect((destination or _ANYWHERE, GOSSIP_PORT))
            return str(probe.getsockname()[0])
        except OSError as problem:
            where = f"interface {interface}" if interface else f"the route to {destination or 'anywhere'}"
            raise UnavailableError(
                f"this machine has no IPv4 address on {where} ({problem}): set consul_bind_interface"
            ) from problem
