"""Takes this node out of the cluster's etcd, where an attempt to join has left it a member.

`kubeadm reset` does that only if it can read this node's configuration from the cluster, which takes an API server of its
own that has run. A member whose data are gone stays a member; the next attempt takes it for its own, and etcd refuses to run
without what it once had.

Spoken to through the JSON gateway of etcd 3.4 and later, with the certificates that the attempt has left. kubeadm has them
before it announces a member: without them there is none.
"""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Callable
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

CLIENT_PORT, PEER_PORT = 2379, 2380
SETTLING = 30.0
"""Seconds that a removal is tried for: etcd refuses it while another member has been back for less than 5 s."""
_PAUSE = 2.0
_TIMEOUT = 5.0


class EtcdError(Exception):
    """No member does what it is asked to; says which and why."""


def leave(pki: Path, name: str, address: str, masters: Iterable[str], sleep: Callable[[float], None] = time.sleep) -> None:
    """Remove the member of the node of that name and address, if there is one, through any of `masters`.

    `pki` is kubeadm's folder of certificates. Idempotent. Raises `EtcdError` when no master has done it within `SETTLING`
    seconds.
    """
    try:
        context = read_context(pki)
    except OSError as problem:  # kubeadm could not have used them either
        log.info("no certificates to ask etcd with, so no member of it: %s", problem)
        return
    etcds = [Etcd(host, context) for host in masters if host != address]
    deadline = time.monotonic() + SETTLING
    while True:
        problems = _try(etcds, name, address)
        if not problems:
            return
        if time.monotonic() > deadline:
            raise EtcdError(f"etcd's member of an earlier attempt cannot be removed: {'; '.join(problems)}")
        sleep(_PAUSE)


def _try(etcds: Sequence[Etcd], name: str, address: str) -> list[str]:
    """Why it is not done; nothing when it is."""
    problems = []
    for etcd in etcds:
        problem = etcd.trouble(name, address)
        if not problem:
            return []
        problems.append(problem)
    return problems or ["discovery knows no healthy master"]


def masters(pki: Path) -> list[str]:
    """Addresses of all members that this master's own knows, the dead too. Raises `EtcdError`, or OSError for `pki`."""
    return Etcd("127.0.0.1", read_context(pki)).addresses()


@dataclass(frozen=True)
class Etcd:
    """One master's member, which knows all others."""

    host: str
    context: ssl.SSLContext

    def trouble(self, name: str, address: str) -> str:
        """Why `remove` fails; empty when it does not."""
        try:
            self.remove(name, address)
        except EtcdError as problem:
            return str(problem)
        return ""

    def remove(self, name: str, address: str) -> None:
        """Remove whoever has that name or address. One that has never started has no name yet."""
        url = f"https://{address}:{PEER_PORT}"
        for member in self.ask("cluster/member/list", {}).get("members", ()):
            if url in member.get("peerURLs", ()) or member.get("name") == name:
                log.info("removing etcd's member %s, which an earlier attempt has left", member["ID"])
                self.ask("cluster/member/remove", {"ID": member["ID"]})

    def addresses(self) -> list[str]:
        urls = [
            url
            for member in self.ask("cluster/member/list", {}).get("members", ())
            for url in member.get("peerURLs", ())[:1]
        ]
        return [host for url in urls if (host := urlsplit(url).hostname)]

    def ask(self, what: str, document: dict[str, Any]) -> dict[str, Any]:
        """One call of its interface. Raises `EtcdError`."""
        connection = HTTPSConnection(self.host, CLIENT_PORT, timeout=_TIMEOUT, context=self.context)
        try:
            connection.request("POST", f"/v3/{what}", json.dumps(document))
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        except (OSError, HTTPException, ValueError) as problem:
            raise EtcdError(f"etcd at {self.host}: {problem}") from problem
        finally:
            connection.close()
        if response.status != 200:
            raise EtcdError(f"etcd at {self.host}: {answer.get('message') or response.status}")
        return answer


def read_context(pki: Path) -> ssl.SSLContext:
    """Raises OSError for certificates that are missing or damaged."""
    context = ssl.create_default_context(cafile=str(pki / "etcd/ca.crt"))
    context.load_cert_chain(pki / "apiserver-etcd-client.crt", pki / "apiserver-etcd-client.key")
    return context
