"""How authorities and snapshot are brought to the master that begins with them, where its API server will listen.

Both sides show that they are of the cluster: the master by a certificate for its name, this host by one for the group
`system:masters`, which no cluster issues of itself. `kube_provision_node.restore` is the other end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import urllib3
from urllib3 import exceptions

from ..contract.errors import ControlPlaneError
from ..contract.machines import Endpoint
from ..folder.pki import Pki, Snapshot
from ..folder.x509 import sign_client
from .https_client import CONNECT_TIMEOUT, OK
from .no_answer import explain
from .tls import context_for

MASTERS = "system:masters"
_LIFETIME = timedelta(hours=1)
_SILENCE = 120.0
"""Seconds for which a master may say nothing: it writes to its disk."""
_PATIENT = urllib3.Timeout(connect=_SILENCE, read=_SILENCE)
"""The library takes the time for connecting as that for sending a piece, too."""
_RECEIVER = "kube-provision"
"""What the master calls itself while it waits; an API server has no name."""


def _authorities(pki: Pki) -> bytes:
    return json.dumps({path: content.decode() for path, content in pki.files.items()}).encode()


def bring(endpoint: Endpoint, name: str, pki: Pki, snapshot: Snapshot, pieces: Iterator[bytes]) -> bool:
    """Bring both to the master of this name, whole; False where it has them already, and its API server listens there.

    Raises ControlPlaneError where nobody listens yet, the transfer breaks off, or it is refused; it may be tried again.
    """
    context = context_for(pki.ca, sign_client(pki.authority("ca"), "kube-provision", MASTERS, _LIFETIME))
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=_SILENCE)
    pool = urllib3.HTTPSConnectionPool(endpoint.host, endpoint.port, ssl_context=context, server_hostname=name)
    with closing(pool):
        try:
            found = pool.urlopen("GET", "/snapshot", timeout=timeout, retries=False)
            if found.headers.get("Server", "").strip() != _RECEIVER:
                return False
            answer = pool.urlopen("PUT", "/authorities", body=_authorities(pki), timeout=timeout, retries=False)
            if answer.status == OK:
                headers = {"Content-Length": str(snapshot.size)}
                answer = pool.urlopen("PUT", "/snapshot", body=pieces, headers=headers, timeout=_PATIENT, retries=False)
        except exceptions.HTTPError as problem:
            raise ControlPlaneError(f"{name} {explain(problem, CONNECT_TIMEOUT)}") from problem
    if answer.status != OK:
        raise ControlPlaneError(f"{name} does not take the snapshot: {answer.data.decode(errors='replace')[:200]}")
    return True
