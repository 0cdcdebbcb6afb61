"""Who may do what in the Consul of one cluster: a policy and a token for each of its machines.

The server gives them when it first starts (`python3 -m discovery.rights`), and the operator's side those of machines that
come later. Standard library only, Python 3.9.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .api import FOLDER, Agent, UnavailableError, rule

Ask = Callable[[str, str, str], Any]
"""Method, path and body of a request with the management token → the JSON of its answer. Raises where that is no success."""

ITSELF = "{name}"
"""In the name of a right: the machine's own."""
OURS = "kube-provision-"
_LIMIT = 240.0


class Token(NamedTuple):
    """`accessor` is a token's public name."""

    accessor: str
    secret: str


def token(seed: str, name: str) -> Token:
    """That of a machine: the same whenever it is asked for."""
    return Token(_uuid(seed, f"accessor of {name}"), _uuid(seed, f"secret of {name}"))


def management(seed: str) -> str:
    return _uuid(seed, "management")


def grant(ask: Ask, grants: Mapping[str, Any]) -> None:
    """These machines have their rights, and others keep theirs. Idempotent: what is so stays.

    `grants`: `seed`, that of tokens; `rights` and `machines` by role: (kind, name, access) of each rule, and names.
    """
    policies = {it["Name"]: it for it in ask("GET", "/v1/acl/policies", "")}
    tokens = {it["AccessorID"] for it in ask("GET", "/v1/acl/tokens", "")}
    for name, rules in wanted(grants):
        _put_policy(ask, name, rules, policies.get(OURS + name, {}))
        own = token(grants["seed"], name)
        if own.accessor not in tokens:
            _put_token(ask, name, own)


def wanted(grants: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each machine with the rules of its policy."""
    for role, names in grants["machines"].items():
        for name in names:
            yield name, _rules(grants["rights"][role], name)


def _rules(rights: Sequence[Sequence[str]], machine: str) -> str:
    return "\n".join(rule(kind, name.replace(ITSELF, machine), access) for kind, name, access in rights)


def _put_policy(ask: Ask, name: str, rules: str, known: Mapping[str, Any]) -> None:
    """Lists of policies leave out their rules: the description tells which they are."""
    digest = hashlib.sha256(rules.encode()).hexdigest()[:16]
    if known.get("Description") != digest:
        body = {"Name": OURS + name, "Description": digest, "Rules": rules}
        ask("PUT", f"/v1/acl/policy/{known['ID']}" if known else "/v1/acl/policy", json.dumps(body))


def _put_token(ask: Ask, name: str, own: Token) -> None:
    policy = {"Name": OURS + name}
    body = {"AccessorID": own.accessor, "SecretID": own.secret, "Description": OURS + name, "Policies": [policy]}
    ask("PUT", "/v1/acl/token", json.dumps(body))


def _uuid(seed: str, what: str) -> str:
    """Consul's own form of a token."""
    return str(uuid.UUID(bytes=hmac.new(seed.encode(), what.encode(), hashlib.sha256).digest()[:16], version=4))


def grant_soon(agent: Agent, grants: Mapping[str, Any], limit: float) -> None:
    """As `grant`, once Consul can: some seconds after it has a leader. Raises `UnavailableError` after `limit` seconds."""
    _soon(lambda: grant(lambda method, path, body: agent.ask(method, path, {}, body).json(), grants), limit)


def vote_soon(agent: Agent, limit: float) -> None:
    """This server counts among those of which a majority must live, and the one whose place it takes does no more: until
    then the next one must not go.

    A new one has to be seen for ten seconds first. Raises `UnavailableError` after `limit` seconds.
    """
    _soon(lambda: _votes(agent), limit, f"the other servers have given this one no vote within {limit:.0f} s")


def _soon(work: Callable[[], object], limit: float, otherwise: str = "") -> None:
    """Tried until it is not False, also where nobody leads for a moment. Raises `UnavailableError` after `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        try:
            if work() is not False:
                return
            problem = UnavailableError(otherwise)
        except UnavailableError as error:
            problem = error
        if time.monotonic() > deadline:
            raise problem
        time.sleep(1.0)


def _votes(agent: Agent) -> bool:
    """The one before of its name, at another address, is listed as unknown until the others drop it."""
    own = agent.ask("GET", "/v1/agent/self", {}).json()["Config"]
    servers = agent.ask("GET", "/v1/operator/raft/configuration", {}).json()["Servers"]
    others = [it["Node"] for it in servers if it["ID"] != own["NodeID"]]
    voting = any(it["Voter"] for it in servers if it["ID"] == own["NodeID"])
    return voting and not {own["NodeName"], "(unknown)"}.intersection(others)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--folder", type=Path, default=FOLDER)
    arguments.add_argument("--limit", type=float, default=_LIMIT, help="seconds to try")
    chosen = arguments.parse_args()
    own = json.loads((chosen.folder / "discovery.json").read_text())
    try:
        agent = Agent.of(own, chosen.folder)
        grant_soon(agent, agent.identity["grants"], chosen.limit / 2)
        vote_soon(agent, chosen.limit / 2)
    except UnavailableError as problem:
        print(f"the rights of the cluster's machines could not be given: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
