"""Uploads of disks to where vCenter says: to vCenter itself, or to one of its hosts."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from kube_provision_core import TargetError

from .session import CALL_TIMEOUT

VCENTER = "*"
"""The host of an address that is vCenter's own."""

ANSWER_TIMEOUT = 600.0
"""Seconds that a server may take, once it has a disk, to say so."""

REFUSAL = 300


class Uploads:
    """Thread-safe."""

    def __init__(self, address: tuple[str, int], trust: Callable[[], ssl.SSLContext]) -> None:
        self._address, self._trust = address, trust

    def send(self, doing: str, url: str, thumbprint: str, content: Iterator[bytes], size: int, *, create: bool) -> None:
        """Send a file of `size` bytes. `create`: it is none of the machine's disks. Raises `TargetError`, and what reading
        the content raises.

        A host is known by the certificate that vCenter names; no session or password is shown to it.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise TargetError(f"{doing}: vCenter names no address of https for it, but {url}")
        pool = self._connect(parts.hostname, parts.port or 443, thumbprint)
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

    def _connect(self, host: str, port: int, thumbprint: str) -> urllib3.HTTPSConnectionPool:
        """Directly: the environment's proxies are for other traffic."""
        if host != VCENTER and thumbprint:
            pinned = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            pinned.check_hostname = False
            pinned.verify_mode = ssl.CERT_NONE  # the fingerprint decides, before anything is sent
            return urllib3.HTTPSConnectionPool(host, port, ssl_context=pinned, assert_fingerprint=thumbprint)
        trust = self._trust()
        if host == VCENTER:
            host, port = self._address
        return urllib3.HTTPSConnectionPool(
            host,
            port,
            ssl_context=trust,
            assert_hostname=None if trust.check_hostname else False,  # a pinned certificate may be for other names
        )
