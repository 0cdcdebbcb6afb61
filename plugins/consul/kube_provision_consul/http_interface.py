"""The HTTP interface of one Consul server: one request, and whatever is answered."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from .endpoint import BadInputError, ConsulEndpoint
from .failures import unreachable
from .node.api import Answer

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes; a node in the catalog takes a thousand."""


class HttpInterface:
    """That of the endpoint's first server; not to be shared between threads.

    It is called directly, as it is said here: what the environment says of Consul or of proxies is not heeded.
    """

    def __init__(self, to: ConsulEndpoint, timeout: float) -> None:
        """`timeout`: seconds for any one request. No connection is made yet."""
        self._to = to
        self._timeout = timeout
        self._headers = _headers(to.token)
        self._pool = _pool(to)

    def send(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: str = "") -> Answer:
        """Whatever is answered. Raises `DiscoveryError` where nothing is, in the one line that the user reads."""
        deadline = time.monotonic() + self._timeout
        try:
            response = self._pool.urlopen(
                method,
                f"{quote(path)}?{urlencode({'dc': self._to.datacenter, **(query or {})}, doseq=True)}",
                body=body.encode() or None,
                headers=self._headers,
                timeout=urllib3.Timeout(total=self._timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            with closing(response):
                return Answer(response.status, response.headers.get("X-Consul-Index", ""), _read(response, deadline))
        except (HTTPError, OSError) as error:
            raise unreachable(str(self._to), error, over_tls=self._to.tls is not None) from error

    def close(self) -> None:
        self._pool.close()


def _pool(to: ConsulEndpoint) -> urllib3.HTTPConnectionPool:
    """HTTPS by our own context, to which the library adds no authorities of its own."""
    server = to.servers[0]
    if to.tls is None:
        return urllib3.HTTPConnectionPool(server.host, server.port)
    name = to.tls.server_name or None
    return urllib3.HTTPSConnectionPool(server.host, server.port, ssl_context=to.tls.context(), server_hostname=name)


def _headers(token: str | None) -> dict[str, str]:
    if token and not (token.isascii() and token.isprintable()):  # the library would repeat it in its error
        raise BadInputError("consul_token: no token has a line break in it, or letters beyond ASCII")
    return {"X-Consul-Token": token} if token else {}


def _read(response: BaseHTTPResponse, deadline: float) -> bytes:
    """The whole body; neither a server that drips nor one that floods holds us up."""
    body = bytearray()
    while chunk := response.read1(65536):
        body += chunk
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
        if len(body) > LARGEST_ANSWER:
            raise HTTPError("the answer is too large")
    return bytes(body)
