"""The operator's side of Consul: what it is asked, and what its answers mean."""

from __future__ import annotations

import json
import logging
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from kube_provision_core import DiscoveryError

from . import layout
from .access import Right, lacking, to_see, unless_leaving
from .endpoint import BadInputError, ConsulEndpoint, DeniedError
from .http_interface import HttpInterface
from .node.api import AUTHORIZE, Answer, question

log = logging.getLogger(__name__)

_OK, _DENIED, _ABSENT, _FAILED = 200, 403, 404, 500
_UNKNOWN, _NO_ACLS = "ACL not found", "ACL support disabled"
"""So Consul says it; whoever denies in other words, such as a proxy before it, has not looked at the token."""

TIMEOUT = 10.0
"""Seconds for any one request."""
_NOBODY = "/v1/health/node/0"
"""No node bears this name."""
_CONSISTENT = {"consistent": "1"}
"""Said by a leader that has made sure that it still is one."""

T = TypeVar("T")


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
        self._to = to
        self._where = str(to)
        self._rights = rights
        self._http = HttpInterface(to, timeout or TIMEOUT)

    def ask(self, method: str, path: str, body: str) -> Any:
        """The JSON of the answer to any request; whatever is no success is raised."""
        answer = self._http.send(method, path, body=body)
        if answer.status != _OK:
            raise DiscoveryError(f"{self._where} answers {answer.status} to {method} {path}: {_text(answer)[:200]}")
        return self._understood(answer, lambda document: document)

    def close(self) -> None:
        self._http.close()

    def check_leader(self) -> None:
        """Raise `LeaderlessError` unless this server knows one that answers: who has just died is believed in for a while.

        Raises `DiscoveryError` where this server itself does not answer.
        """
        if not self._call("GET", "/v1/status/leader", parse=bool):
            raise LeaderlessError(f"{self._where} knows no leader")
        try:
            answer = self._http.send("GET", _NOBODY, _CONSISTENT)
        except DiscoveryError as error:
            raise LeaderlessError(f"{self._where} knows a leader that does not answer") from error
        if answer.status >= _FAILED:
            raise LeaderlessError(f"{self._where} knows a leader that does not answer: {_text(answer)[:200]}")

    def missing(self, rights: Sequence[Right]) -> list[Right]:
        """Which of them the token lacks; none where Consul has no ACLs, or does not tell."""
        answer = self._http.send(
            "POST", AUTHORIZE, body=question([(right.kind, right.name, right.access) for right in rights])
        )
        said = _text(answer)
        if answer.status == _DENIED and _UNKNOWN in said:
            raise BadInputError(f"{self._where} denies permission: it knows no such consul_token ({said})")
        if self._to.token and _NO_ACLS in said:
            raise BadInputError(
                f"{self._where} has no ACLs ({said}), and machines with a consul_token would wait for ever:"
                " take consul_token out of the configuration, or have the ACLs enabled"
            )
        if answer.status != _OK:
            return []
        with suppress(LookupError, RecursionError, TypeError, ValueError):
            return [right for right, told in zip(rights, answer.json(), strict=True) if not told["Allow"]]
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
        return self._found(f"/v1/kv/{key}", _CONSISTENT, parse=_entry)

    def write(self, key: str, text: str) -> None:
        self._call("PUT", f"/v1/kv/{key}", body=text, parse=bool)

    def delete(self, key: str, version: int) -> bool:
        """Delete the key if it is still that version; whether it was deleted."""
        return self._call("DELETE", f"/v1/kv/{key}", {"cas": version}, parse=bool)

    def delete_below(self, prefix: str) -> None:
        self._call("DELETE", f"/v1/kv/{prefix}", {"recurse": "1"}, parse=bool)

    def healthy(self, service: str) -> list[Service]:
        """Instances all of whose checks pass. An instance without an address has its node's."""
        return self._seen(f"/v1/health/service/{service}", {"passing": "1"}, parse=_service)

    def nodes(self, meta: Mapping[str, str] | None = None) -> dict[str, dict[str, str]]:
        """Metadata of every node in the catalog that has `meta`, by name."""
        wanted = [f"{name}:{value}" for name, value in (meta or {}).items()]
        return dict(self._seen("/v1/catalog/nodes", {**_CONSISTENT, "node-meta": wanted}, parse=_node))

    def living_nodes(self) -> set[str]:
        """Names of the nodes whose agents answer."""
        return {node for node, check in self._seen("/v1/health/state/passing", {}, parse=_check) if check == "serfHealth"}

    def remove_node(self, name: str) -> None:
        """Take a node and its services out of the catalog. An agent that still runs comes back by itself."""
        answer = self._http.send("PUT", f"/v1/agent/force-leave/{name}")
        if answer.status == _DENIED:
            self._refuse_as(answer)
        if answer.status != _OK:  # only a machine that has gossiped can be made to leave
            log.debug("%s: %s", name, _text(answer))
        entry = {"Datacenter": self._to.datacenter, "Node": name}  # which this call takes from its body alone
        self._call("PUT", "/v1/catalog/deregister", body=json.dumps(entry), parse=bool)

    # --- sessions --------------------------------------------------------------------------------------------------

    def create_session(self, name: str, ttl: int) -> str:
        """A session whose end, by time limit too, deletes what it has locked. `ttl`: seconds.

        It lives for as long as it is renewed, and not for as long as the server does that was asked for it.
        """
        session = {"Name": name, "Checks": [], "LockDelay": "0s", "Behavior": "delete", "TTL": f"{ttl}s"}
        return self._call("PUT", "/v1/session/create", body=json.dumps(session), parse=lambda made: str(made["ID"]))

    def renew_session(self, session: str) -> None:
        """Raises `DiscoveryError` also where it has ended."""
        self._call("PUT", f"/v1/session/renew/{session}", parse=bool)

    def destroy_session(self, session: str) -> None:
        self._call("PUT", f"/v1/session/destroy/{session}", parse=bool)

    def acquire(self, key: str, value: str, session: str) -> bool:
        return self._call("PUT", f"/v1/kv/{key}", {"acquire": session}, value, parse=bool)

    # --- requests --------------------------------------------------------------------------------------------------

    def _seen(self, path: str, query: Mapping[str, Any], *, parse: Callable[[Any], T]) -> list[T]:
        """What a token may not see is left out of an answer without a word: none at all may mean no right."""
        found = self._found(path, query, parse=lambda items: [parse(item) for item in items])
        if not found:
            self._refuse(self.missing(to_see(self._rights)))
        return found or []

    def _found(self, path: str, query: Mapping[str, Any], *, parse: Callable[[Any], T]) -> T | None:
        """What Consul has there; None if it says itself that it has nothing. By its index one knows that it is Consul."""
        answer = self._http.send("GET", path, query)
        if answer.status == _ABSENT and answer.index:
            return None
        found = self._understood(self._granted(answer), parse)
        if not answer.index:
            raise DiscoveryError(f"{self._where} cannot answer: its answer has no X-Consul-Index")
        return found

    def _call(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: str = "", *, parse: Callable[[Any], T]
    ) -> T:
        """What is answered; whatever is no success is raised. `parse`: takes Consul's JSON, and need not check it."""
        return self._understood(self._granted(self._http.send(method, path, query, body)), parse)

    def _granted(self, answer: Answer) -> Answer:
        """The same, if it is a success."""
        if answer.status == _DENIED:
            self._refuse_as(answer)
        if answer.status != _OK:
            raise DiscoveryError(f"{self._where} cannot answer: {answer.status} {_line(answer)}".rstrip())
        return answer

    def _refuse_as(self, answer: Answer) -> NoReturn:
        """Say which rights are missing, or what Consul said where it does not tell."""
        self.check_rights()
        raise DeniedError(
            f"{self._where} denies permission: consul_token needs what `kube-provision plugins grants` prints"
            f" ({_line(answer) or answer.status})"
        )

    def _understood(self, answer: Answer, parse: Callable[[Any], T]) -> T:
        try:
            return parse(answer.json())
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:  # and it may hold a secret
            raise DiscoveryError(f"{self._where} cannot answer: what it says is not Consul's") from error


def _text(answer: Answer) -> str:
    return answer.body.decode(errors="replace").strip()


def _line(answer: Answer) -> str:
    """The first, or as much as a person reads of it."""
    return _text(answer).partition("\n")[0][:300]


def _entry(found: Any) -> Entry:
    (entry,) = found
    text = b64decode(entry["Value"] or "").decode(errors="replace")
    return Entry(text, entry["ModifyIndex"], bool(entry.get("Session")))


def _service(found: Any) -> Service:
    node, service = found["Node"], found["Service"]
    return Service(node["Node"], service["ID"], service["Address"] or node["Address"])


def _node(found: Any) -> tuple[str, dict[str, str]]:
    return found["Node"], found.get("Meta") or {}


def _check(found: Any) -> tuple[str, str]:
    return found["Node"], found["CheckID"]


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
