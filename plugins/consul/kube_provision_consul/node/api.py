"""What the node's own Consul agent is asked by: its HTTP interface."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

FOLDER = Path("/etc/kube-provision")
IDENTITY = "consul-identity.json"
"""Who the machine is in a Consul that was made for its cluster: its token, certificate and key. Elsewhere there is none."""
AGENT = "127.0.0.1:8500"
AUTHORIZE = "/v1/internal/acl/authorize"
"""Says what a token may. Consul's own pages ask it; where it does not answer, nothing is known of rights."""

_TIMEOUT = 10.0


class UnavailableError(Exception):
    """Consul cannot be asked, or does not know. Says where and why."""


@dataclass(frozen=True)
class Answer:
    status: int
    index: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Agent:
    """The HTTP interface of the Consul agent on this machine. In an existing Consul it adds its own token."""

    address: str = AGENT
    rights: Sequence[Sequence[str]] = ()
    """What the token must be allowed: (kind, name, access) of each rule."""
    identity: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """With its token, which the agent then adds to nobody's requests."""

    @classmethod
    def of(cls, own: Mapping[str, Any], folder: Path) -> Agent:
        """By discovery.json, and who the machine is."""
        return cls(own.get("agent", AGENT), own.get("rights", ()), read_identity(folder))

    def ask(self, method: str, path: str, query: dict[str, str], body: str = "", wait: float = 0.0) -> Answer:
        """One request, bounded by `wait` and a little more. Raises `UnavailableError` but for an answer of 200 or 404."""
        host, _, port = self.address.rpartition(":")
        connection = HTTPConnection(host, int(port), timeout=_TIMEOUT + wait + wait / 16)  # Consul adds up to a 16th
        try:
            headers = {"X-Consul-Token": self.identity["token"]} if self.identity else {}
            connection.request(method, f"{path}?{urlencode(query)}", body or None, headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.getheader("X-Consul-Index", ""), response.read())
        except (OSError, HTTPException) as problem:
            reason = str(problem) or type(problem).__name__
            raise UnavailableError(f"the Consul agent at {self.address} does not answer: {reason}") from problem
        finally:
            connection.close()
        if answer.status not in (200, 404):
            if answer.status == 403 and path != AUTHORIZE:
                self.check_rights()
            reason = answer.body.decode(errors="replace").strip()[:200]
            raise UnavailableError(f"the Consul agent at {self.address} answers {answer.status}: {reason}")
        return answer

    def check_rights(self) -> None:
        """Raise `UnavailableError` if rights are missing. Where Consul has no ACLs, or does not tell, none are."""
        try:
            answers = self.ask("POST", AUTHORIZE, {}, question(self.rights)).json() if self.rights else []
            missing = [rule(*right) for right, answer in zip(self.rights, answers) if not answer["Allow"]]
        except (UnavailableError, LookupError, TypeError, ValueError):
            return
        if missing:
            raise UnavailableError(
                f"this machine's consul_token lacks {', '.join(missing)}: `kube-provision plugins grants` prints its policy"
            )

    def check_token(self) -> None:
        """Raise `UnavailableError` if the cluster's own Consul does not know this machine, or not yet."""
        if self.identity:
            self.ask("GET", "/v1/acl/token/self", {})


def read_identity(folder: Path) -> Mapping[str, Any]:
    """Empty in an existing Consul, and in one that an earlier version has made."""
    file = folder / IDENTITY
    return dict(json.loads(file.read_text())) if file.exists() else {}


def question(rights: Sequence[Sequence[str]]) -> str:
    """How Consul is asked which of these rights a token has."""
    return json.dumps([{"Resource": kind.split("_")[0], "Segment": name, "Access": access} for kind, name, access in rights])


def rule(kind: str, name: str, access: str) -> str:
    """As it stands in a policy."""
    return f'{kind} "{name}" {{ policy = "{access}" }}' if kind != "operator" else f'{kind} = "{access}"'


def duration(seconds: float) -> str:
    """As Consul reads it, and never zero: it takes that for its own five minutes."""
    return f"{max(1, round(seconds * 1000))}ms"
