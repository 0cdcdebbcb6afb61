"""The operator's side of Consul's HTTP interface. The only module that imports `consul`.

py-consul lets the environment overrule what it is told, so everything is said explicitly and the token set once more after
construction; proxies of the environment are passed by, since the servers' addresses are the cluster's own.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import consul
from consul.callback import CB
from requests.adapters import HTTPAdapter

from kube_provision_core import DiscoveryError

from . import layout
from .access import Right, lacking, to_see, unless_leaving
from .endpoint import BadInputError, ConsulEndpoint, DeniedError, Tls
from .failures import first_line, unreachable
from .node.api import AUTHORIZE, question

log = logging.getLogger(__name__)

_OK, _DENIED, _FAILED = 200, 403, 500
_UNKNOWN, _NO_ACLS = "ACL not found", "ACL support disabled"
"""So Consul says it; whoever denies in other words, such as a proxy before it, has not looked at the token."""

TIMEOUT = 10.0
"""Seconds for any one request."""
_NOBODY = "/v1/health/node/0"
"""No node bears this name."""

Found = TypeVar("Found", list[Any], dict[str, Any], set[str])


@dataclass(frozen=True)
class Entry:
    """A key's value, and the index that says whether it has changed since."""

    text: str
    version: int
    locked: bool


@dataclass(frozen=True)
class Service:
    """One instance of a service."""

    node: str
    id: str
    address: str


class LeaderlessError(DiscoveryError):
    """A server answers, and knows none that leads."""


class Client:
    """One connection to one Consul server; not to be shared between threads. Every method may raise `DiscoveryError`."""

    def __init__(self, to: ConsulEndpoint, rights: Sequence[Right] = (), timeout: float | None = None) -> None:
        """`rights`: what the token must be allowed. What it is not is said where Consul refuses something or hides it."""
        self.server = to.servers[0]
        self._where = str(to)
        self._rights = rights
        self._consul = consul.Consul(
            host=self.server.host,
            port=self.server.port,
            scheme=to.scheme,
            verify=True,
            dc=to.datacenter,
            consistency="consistent",
            connections_timeout=timeout or TIMEOUT,
        )
        self._consul.token = to.token
        self._consul.http.session.trust_env = False
        if to.tls:
            self._consul.http.session.mount("https://", _Trusting(to.tls))

    def ask(self, method: str, path: str, body: str) -> Any:
        """The JSON of the answer to any request; whatever is no success is raised."""
        with self._failures():
            call = getattr(self._consul.http, method.lower())
            more = {"data": body} if body else {}
            parameters, headers = [("dc", self._consul.dc)], self._consul.prepare_headers()
            answer = call(lambda response: response, path, params=parameters, headers=headers, **more)
        if answer.code != _OK:
            raise DiscoveryError(f"{self._where} answers {answer.code} to {method} {path}: {answer.body.strip()[:200]}")
        return json.loads(answer.body)

    def close(self) -> None:
        self._consul.http.session.close()

    def check_leader(self) -> None:
        """Raise `LeaderlessError` unless this server knows one that answers: who has just died is believed in for a while.

        Raises `DiscoveryError` where this server itself does not answer.
        """
        with self._failures():
            if not self._consul.status.leader():
                raise LeaderlessError(f"{self._where} knows no leader")
        try:
            with self._failures():
                parameters, headers = [("consistent", "1"), ("dc", self._consul.dc)], self._consul.prepare_headers()
                answer = self._consul.http.get(lambda response: response, _NOBODY, params=parameters, headers=headers)
        except DiscoveryError as error:
            raise LeaderlessError(f"{self._where} knows a leader that does not answer") from error
        if answer.code >= _FAILED:
            raise LeaderlessError(f"{self._where} knows a leader that does not answer: {answer.body.strip()[:200]}")

    def missing(self, rights: Sequence[Right]) -> list[Right]:
        """Which of them the token lacks; none where Consul has no ACLs, or does not tell."""
        with self._failures():
            answer = self._consul.http.post(
                lambda response: response,
                AUTHORIZE,
                [("dc", self._consul.dc)],
                question([(right.kind, right.name, right.access) for right in rights]),
                self._consul.prepare_headers(),
            )
        if answer.code == _DENIED and _UNKNOWN in answer.body:
            raise BadInputError(f"{self._where} denies permission: it knows no such consul_token ({answer.body.strip()})")
        if self._consul.token and _NO_ACLS in answer.body:
            raise BadInputError(
                f"{self._where} has no ACLs ({answer.body.strip()}), and machines with a consul_token would wait for ever:"
                " take consul_token out of the configuration, or have the ACLs enabled"
            )
        if answer.code != _OK:
            return []
        with suppress(LookupError, TypeError, ValueError):
            return [right for right, told in zip(rights, json.loads(answer.body), strict=True) if not told["Allow"]]
        return []

    def check_rights(self) -> None:
        """Raise `DiscoveryError` that names whatever right is missing."""
        self._refuse(self.missing(self._rights))

    def check_before_run(self) -> None:
        """As `check_rights`, but what only machines that go need is a warning: none may go."""
        try:
            self.check_rights()
        except DiscoveryError as error:
            if self.missing(unless_leaving(self._rights)):
                raise
            log.warning("%s; machines that go stay in Consul until then", error)

    def _refuse(self, missing: Sequence[Right]) -> None:
        if missing:
            raise DeniedError(f"{self._where} denies permission: {lacking(missing, 'consul_token')}")

    def read(self, key: str) -> Entry | None:
        """None only if there is certainly no such key."""
        with self._failures():
            _, entry = self._consul.kv.get(key)
        if entry is None:
            return None
        return Entry((entry["Value"] or b"").decode(errors="replace"), entry["ModifyIndex"], bool(entry.get("Session")))

    def write(self, key: str, text: str) -> None:
        with self._failures():
            self._consul.kv.put(key, text)

    def delete(self, key: str, version: int) -> bool:
        """Delete the key if it is still that version; whether it was deleted."""
        with self._failures():
            return bool(self._consul.kv.delete(key, cas=version))

    def delete_below(self, prefix: str) -> None:
        with self._failures():
            self._consul.kv.delete(prefix, recurse=True)

    def healthy(self, service: str) -> list[Service]:
        """Instances all of whose checks pass. An instance without an address has its node's."""
        with self._failures():
            _, entries = self._consul.health.service(service, passing=True)
        return [
            Service(entry["Node"]["Node"], entry["Service"]["ID"], entry["Service"]["Address"] or entry["Node"]["Address"])
            for entry in self._seen(entries)
        ]

    def nodes(self, meta: dict[str, str] | None = None) -> dict[str, dict[str, str]]:
        """Metadata of every node in the catalog that has `meta`, by name."""
        with self._failures():
            _, nodes = self._consul.catalog.nodes(node_meta=meta)
        return {node["Node"]: node.get("Meta") or {} for node in self._seen(nodes)}

    def living_nodes(self) -> set[str]:
        """Names of the nodes whose agents answer."""
        with self._failures():
            _, checks = self._consul.health.state("passing")
        return {check["Node"] for check in self._seen(checks) if check["CheckID"] == "serfHealth"}

    def remove_node(self, name: str) -> None:
        """Take a node and its services out of the catalog. An agent that still runs comes back by itself."""
        with self._failures():
            try:
                self._consul.agent.force_leave(name)
            except consul.ACLPermissionDenied:
                raise
            except consul.ConsulException as error:  # only a machine that has gossiped can be made to leave
                log.debug("%s: %s", name, error)
            self._deregister(name)

    def _deregister(self, name: str) -> None:
        """py-consul's own call repeats the token in the body, which Consul refuses (400: unknown field `WriteRequest`)."""
        body = json.dumps({"Datacenter": self._consul.dc, "Node": name})
        headers = self._consul.prepare_headers()
        self._consul.http.put(CB.boolean(), "/v1/catalog/deregister", headers=headers, data=body)

    # --- sessions --------------------------------------------------------------------------------------------------

    def create_session(self, name: str, ttl: int) -> str:
        """A session whose end, by time limit too, deletes what it has locked.

        It lives for as long as it is renewed, and not for as long as the server does that was asked for it.
        """
        with self._failures():
            return str(self._consul.session.create(name=name, checks=[], ttl=ttl, behavior="delete", lock_delay=0))

    def renew_session(self, session: str) -> None:
        with self._failures():
            self._consul.session.renew(session)

    def destroy_session(self, session: str) -> None:
        with self._failures():
            self._consul.session.destroy(session)

    def acquire(self, key: str, value: str, session: str) -> bool:
        with self._failures():
            return bool(self._consul.kv.put(key, value, acquire=session))

    def _seen(self, found: Found) -> Found:
        """What a token may not see is left out of an answer without a word: none at all may mean no right."""
        if not found:
            self._refuse(self.missing(to_see(self._rights)))
        return found

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn whatever goes wrong on the way into the one line that the user reads."""
        try:
            yield
        except consul.ACLPermissionDenied as error:
            self.check_rights()
            raise DeniedError(
                f"{self._where} denies permission: consul_token needs what `kube-provision plugins grants` prints"
                f" ({first_line(error)})"
            ) from error
        except consul.ConsulException as error:
            raise DiscoveryError(f"{self._where} cannot answer: {first_line(error)}") from error
        except OSError as error:  # requests' own exceptions are OSErrors
            raise unreachable(self._where, error, over_tls=self._consul.scheme == "https") from error


class _Trusting(HTTPAdapter):
    """HTTPS by our own context, to which the library adds no authorities of its own."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        super().__init__()

    def init_poolmanager(self, *sizes: Any, **more: Any) -> None:
        name = self._tls.server_name or None
        super().init_poolmanager(*sizes, **more, ssl_context=self._tls.context(), server_hostname=name)

    def cert_verify(self, *_: object) -> None:
        """The context does."""


def decode_record(text: str, cluster: str) -> dict[str, Any]:
    """The record as the nodes write it. Raises `DiscoveryError` for anything else: it must not be taken for absent."""
    try:
        record = json.loads(text)
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("state") not in ("initialising", "initialised"):
        raise DiscoveryError(
            f"Consul's key {layout.record_key(cluster)} is no record of initialisation; only if you know that no cluster"
            f" {cluster} lives, delete it"
        )
    return record
