"""Which masters there are, and which of them are ready. Runs on nodes too: standard library only, Python 3.9."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection

from .api import MERGE, Answer, Api, Connection, UnavailableError, unexpected

CONFIG_MAPS = "/api/v1/namespaces/kube-provision/configmaps"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
API_SERVERS = "kubernetes"
"""The EndpointSlice that API servers themselves keep."""

WATCHING = "watches masters"
"""Name of the threads that do."""

_WITHDRAWN = " withdrawn"
_PROBE_LIMIT = 3.0


@dataclass(frozen=True)
class Masters:
    """As they were told."""

    registered: Mapping[str, str]
    """Address by name; of who has withdrawn with a word behind it."""
    serving: frozenset[str]
    """Addresses of API servers, as they say themselves."""
    versions: Mapping[str, str]
    """Of what was read, by the collection that it is in."""

    @property
    def named(self) -> dict[str, str]:
        """Address by name, of those that have registered."""
        return {name: it for name, it in self.registered.items() if not it.endswith(_WITHDRAWN)}

    @property
    def addresses(self) -> list[str]:
        """Of all: who has withdrawn serves all the same, and somebody else may have registered with its address since."""
        gone = {it[: -len(_WITHDRAWN)] for it in self.registered.values() if it.endswith(_WITHDRAWN)}
        return sorted({*self.named.values()} | (self.serving - gone))


@dataclass(frozen=True)
class Registry:
    """The masters of one cluster, in its API."""

    api: Api
    cluster: str

    @property
    def _name(self) -> str:
        return f"masters-{self.cluster}"

    def read(self) -> Masters:
        """Raises `UnavailableError`."""
        known, slice_ = self._get(CONFIG_MAPS, self._name), self._get(SLICES, API_SERVERS)
        try:
            registered = dict((known.document.get("data") or {}) if known.status == 200 else {})
            endpoints = (slice_.document.get("endpoints") or []) if slice_.status == 200 else []
            serving = frozenset(address for it in endpoints for address in it["addresses"])
        except (AttributeError, LookupError, TypeError, ValueError) as problem:
            raise UnavailableError(f"the list of masters is unreadable: {problem}") from problem
        return Masters(registered, serving, {CONFIG_MAPS: _version(known), SLICES: _version(slice_)})

    def register(self, name: str, address: str) -> None:
        self._put({name: address})

    def withdraw(self, name: str, address: str) -> None:
        self._put({name: address + _WITHDRAWN})

    def watch(self, known: Masters, seconds: float) -> Watch:
        """Of changes since these were read, for so long."""
        names = {CONFIG_MAPS: self._name, SLICES: API_SERVERS}
        paths = [
            f"{collection}?watch=1&fieldSelector=metadata.name%3D{names[collection]}"
            f"&timeoutSeconds={max(1, int(seconds))}&resourceVersion={version}"
            for collection, version in known.versions.items()
        ]
        return Watch(self.api, paths, seconds)

    def _get(self, collection: str, name: str) -> Answer:
        answer = self.api.ask("GET", f"{collection}/{name}")
        if answer.status not in (200, 404):
            raise unexpected(answer, f"{name} cannot be read")
        return answer

    def _put(self, data: dict[str, str]) -> None:
        """One master's entry alone: others write theirs at the same time."""
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self._name}, "data": data}
        for _ in range(3):
            answer = self.api.ask("PATCH", f"{CONFIG_MAPS}/{self._name}", {"data": data}, MERGE)
            if answer.status == 404:
                answer = self.api.ask("POST", CONFIG_MAPS, document)
            if answer.status in (200, 201):
                return
        raise unexpected(answer, f"{self._name} cannot be written")


class Watch:
    """Sets `changed` when one of what it watches changes. Ends by itself, or with `close`."""

    def __init__(self, api: Api, paths: list[str], seconds: float) -> None:
        self._api, self._seconds = api, seconds
        self.changed = threading.Event()
        self._open: list[Connection] = []
        self._closed = False
        for path in paths:
            threading.Thread(target=self._wait, args=(path,), daemon=True, name=WATCHING).start()

    def close(self) -> None:
        self._closed = True
        for connection in list(self._open):
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _wait(self, path: str) -> None:
        with contextlib.suppress(OSError, HTTPException, ValueError, AttributeError, UnavailableError):
            connection = self._api.begin(self._api.in_turn()[0], path, self._seconds + _PROBE_LIMIT)
            self._open.append(connection)
            try:
                if not self._closed and connection.getresponse().readline():
                    self.changed.set()
            finally:
                connection.close()


def ready_ones(places: Mapping[str, tuple[str, int]]) -> list[str]:
    """Those whose API server, at that host and port, says that it is ready; all are asked together."""
    if not places:
        return []
    with ThreadPoolExecutor(max_workers=len(places)) as pool:
        answers = {name: pool.submit(_is_ready, *place) for name, place in places.items()}
    return [name for name, answer in answers.items() if answer.result()]


def _is_ready(address: str, port: int) -> bool:
    """Nothing is sent and nothing is learnt but "ready", so that the certificate need not be verified."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = HTTPSConnection(address, port, timeout=_PROBE_LIMIT, context=context)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _version(answer: Answer) -> str:
    return str(answer.document["metadata"]["resourceVersion"]) if answer.status == 200 else ""
