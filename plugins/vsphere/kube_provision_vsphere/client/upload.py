"""Uploads of disks to where vCenter says: to vCenter itself, or to one of its hosts."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from kube_provision_core import TargetError

from ..tls import blind
from .rest import REFUSAL, connections
from .session import CALL_TIMEOUT, Session

VCENTER = "*"
"""The host of an address that is vCenter's own."""

ANSWER_TIMEOUT = 600.0
"""Seconds that a server may take, once it has a disk, to say so."""


def send(
    session: Session, doing: str, url: str, thumbprint: str, content: Iterator[bytes], size: int, *, create: bool
) -> None:
    """Send a file of `size` bytes. `create`: it is none of the machine's disks. Raises `TargetError`, and what reading the
    content raises.

    A host is known by the certificate that vCenter names; no session or password is shown to it.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise TargetError(f"{doing}: vCenter names no address of https for it, but {url}")
    pool = _connect(session, parts.hostname, parts.port or 443, thumbprint)
    form = {"Overwrite": "t"} if create else {"Content-Type": "application/x-vnd.vmware-streamVmdk"}
    try:
        answer = pool.urlopen(
            "PUT" if create else "POST",  # as ovftool does
            parts.path + (f"?{parts.query}" if parts.query else ""),
            body=content,
            headers={**form, "Content-Length": str(size)},
            timeout=urllib3.Timeout(connect=CALL_TIMEOUT, read=ANSWER_TIMEOUT),
            retries=False,
            redirect=False,
        )
    except HTTPError as error:
        raise TargetError(f"{doing}: {pool.host}:{pool.port} does not take it: {error}") from error
    finally:
        pool.close()
    if answer.status >= REFUSAL:
        raise TargetError(f"{doing}: {pool.host}:{pool.port} does not take it: it answers {answer.status}")


def _connect(session: Session, host: str, port: int, thumbprint: str) -> urllib3.HTTPSConnectionPool:
    if host == VCENTER or not thumbprint:
        return connections(session.address if host == VCENTER else (host, port), session.trust())
    # The fingerprint decides, before anything is sent.
    return urllib3.HTTPSConnectionPool(host, port, ssl_context=blind(), assert_fingerprint=thumbprint)
