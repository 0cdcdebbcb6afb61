"""HTTPS calls to whichever of several equal servers answers, trusting one authority and showing one client certificate.

Whatever is called here must be idempotent: a call that broke off is made again. Proxies of the environment are ignored,
since a cluster's own machines are reached directly.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import urllib3
from urllib3 import exceptions
from urllib3.response import BaseHTTPResponse

from ..contract.errors import ControlPlaneError
from ..contract.machines import Endpoint
from ..folder.x509 import KeyPair
from .no_answer import explain
from .tls import context_for

CONNECT_TIMEOUT = 5.0
"""Seconds until an address counts as silent; a machine of the same site answers in milliseconds."""

RESTART = 90.0
"""Seconds that an API server may be away which starts anew, as in a join, an upgrade or a renewal of certificates."""

RESTART_POLL = 1.0

FORBIDDEN = 403

JSON = "application/json"

OK = 200

LARGEST_ANSWER = 64 * 1024 * 1024
LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of one line of an answer that is read as a stream: those of etcd's snapshot are of 45 KiB."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. Its body is hidden: it may hold secrets."""

    server: str
    """`address:port`, for people."""
    status: int
    body: bytes = field(repr=False)

    @property
    def document(self) -> dict[str, Any]:
        """The body's JSON object; an empty one if it is none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    @property
    def reason(self) -> str:
        """Why the server refused, in its own words, on one line."""
        text = self.document.get("message") or self.document.get("error") or self.body[:200].decode(errors="replace")
        return " ".join(str(text).split())[:200] or "without a reason"


class _Connection(urllib3.connection.HTTPSConnection):
    """Somebody who is there may take the whole time for the handshake too: slow is not off."""

    def __init__(self, *arguments: Any, patience: float, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._patience = patience

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        connection.settimeout(self._patience)
        return connection


class _Pool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Connection


class HttpsClient:
    """Calls the first of `addresses` that answers, beginning with the one that answered last. Safe to share by threads."""

    def __init__(
        self,
        addresses: Sequence[str],
        port: int,
        authority: bytes,
        credential: KeyPair,
        *,
        timeout: float,
        endpoint: Callable[[str, int], Endpoint] = Endpoint,
    ) -> None:
        """`timeout`: seconds for one call to one address. `endpoint`: where this host reaches a port of an address.

        No connection is made yet.
        """
        self._endpoint = endpoint
        self._addresses = tuple(addresses)
        self._port = port
        self._context = context_for(authority, credential)
        self._timeout = timeout
        self._pools: dict[str, urllib3.HTTPSConnectionPool] = {}

    @property
    def preferred(self) -> str:
        """The address that answered last, or else would be asked first."""
        return next(iter(self._addresses), "")

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def call(
        self, method: str, path: str, body: object = None, *, form: str = JSON, refusals: Collection[int] = ()
    ) -> Answer:
        """The first answer that is no server's own failure, see `_is_failure`. Raises ControlPlaneError if there is none.

        `form`: the body's media type. `refusals`: which of these failures are an answer all the same.
        """
        failures = []
        for address in self._addresses:
            try:
                answer = self._call_started(address, method, path, body, form)
            except ControlPlaneError as problem:
                failures.append(str(problem))
                continue
            if answer.status in refusals or not _is_failure(answer):
                self._addresses = (address, *(other for other in self._addresses if other != address))
                return answer
            failures.append(f"{answer.server} answers {answer.status} ({answer.reason})")
        reasons = "; ".join(failures) or "no address is known"
        raise ControlPlaneError(f"no master can be asked ({reasons}): start one, or mend the way to it, and run again")

    def call_each(self, method: str, path: str) -> list[Answer]:
        """What every address says. One that gives no answer, or its own failure, is asked again for `RESTART` seconds.

        What it says then is its answer; raises as `call_at` does for the first that gives none.
        """
        deadline = time.monotonic() + RESTART
        return [self._call_until(deadline, address, method, path) for address in self._addresses]

    def _call_until(self, deadline: float, address: str, method: str, path: str) -> Answer:
        while time.monotonic() < deadline:
            with suppress(ControlPlaneError):
                answer = self._call_started(address, method, path)
                if not _is_failure(answer):
                    return answer
            time.sleep(RESTART_POLL)
        return self.call_at(address, method, path)

    def _call_started(self, address: str, method: str, path: str, body: object = None, form: str = JSON) -> Answer:
        """As `call_at`, of a server that has started: raises ControlPlaneError also where it has not.

        An API server that is just starting knows nobody's rights yet and forbids all that is asked of it, its readiness too.
        One that is ready may have become so since it forbade: what it says now counts.
        """
        answer = self.call_at(address, method, path, body, form=form)
        if answer.status != FORBIDDEN:
            return answer
        if self.call_at(address, "GET", "/readyz").status != OK:
            raise ControlPlaneError(f"{answer.server} answers {answer.status} ({answer.reason})")
        return self.call_at(address, method, path, body, form=form)

    def call_at(
        self, address: str, method: str, path: str, body: object = None, timeout: float | None = None, form: str = JSON
    ) -> Answer:
        """The answer of one address, whatever it is. Raises ControlPlaneError, naming the address, if there is none."""
        attempt = partial(self._attempt, address, method, path, body, form, timeout or self._timeout)
        with self._explained(address):
            try:
                return attempt()
            except exceptions.ProtocolError:
                # Most likely a kept connection that the server has closed meanwhile; a second failure counts.
                return attempt()

    @contextmanager
    def lines_at(self, address: str, path: str, body: object, idle: float) -> Iterator[Iterator[bytes]]:
        """The lines of one address's answer, as they come: for answers that are larger than memory. What is asked by `POST`.

        Each of at most `LONGEST_LINE` bytes, within `idle` seconds of the one before. Raises ControlPlaneError, naming the
        address, where it gives none, or another status than 200, or breaks off.
        """
        with self._explained(address):
            response = self._open(address, "POST", path, body, JSON, idle)
        try:
            if response.status != OK:
                with self._explained(address):
                    answer = Answer(self._server(address), response.status, _read(response, time.monotonic() + idle))
                raise ControlPlaneError(f"{answer.server} answers {answer.status} ({answer.reason})")
            yield self._lines(address, response, idle)
        finally:
            response.close()  # what is left unread would be taken for the next answer

    def _lines(self, address: str, response: BaseHTTPResponse, idle: float) -> Iterator[bytes]:
        lines = _lines(response, idle)
        while True:
            with self._explained(address):
                line = next(lines, None)
            if line is None:
                return
            yield line

    @contextmanager
    def _explained(self, address: str) -> Iterator[None]:
        try:
            yield
        except exceptions.HTTPError as problem:
            raise ControlPlaneError(f"{self._server(address)} {explain(problem, CONNECT_TIMEOUT)}") from problem

    def _attempt(self, address: str, method: str, path: str, body: object, form: str, timeout: float) -> Answer:
        deadline = time.monotonic() + timeout
        response = self._open(address, method, path, body, form, timeout)
        try:
            answer = Answer(self._server(address), response.status, _read(response, deadline))
        except BaseException:
            # What is left unread would be taken for the next answer.
            response.close()
            raise
        response.release_conn()
        return answer

    def _open(self, address: str, method: str, path: str, body: object, form: str, timeout: float) -> BaseHTTPResponse:
        return self._pool(address).urlopen(
            method,
            path,
            body=None if body is None else json.dumps(body).encode(),
            headers={"Accept": JSON, "Content-Type": form, "User-Agent": "kube-provision"},
            timeout=urllib3.Timeout(connect=min(timeout, CONNECT_TIMEOUT), read=timeout),
            retries=False,
            redirect=False,
            preload_content=False,
        )

    def _pool(self, address: str) -> urllib3.HTTPSConnectionPool:
        if address not in self._pools:
            at = self._endpoint(address, self._port)
            pool = _Pool(at.host, at.port, maxsize=8, ssl_context=self._context, server_hostname=address)
            pool.conn_kw["patience"] = self._timeout
            self._pools.setdefault(address, pool)
        return self._pools[address]

    def _server(self, address: str) -> str:
        return f"[{address}]:{self._port}" if ":" in address else f"{address}:{self._port}"


def _is_failure(answer: Answer) -> bool:
    """It says something of the server, and nothing of the request."""
    return answer.status >= 500 or answer.status == 429


def _read(response: BaseHTTPResponse, deadline: float) -> bytes:
    """The whole body; neither a server that drips nor one that floods holds us up."""
    body = b""
    while chunk := response.read1(65536):
        body += chunk
        if time.monotonic() > deadline:
            raise exceptions.TimeoutError("the answer took too long")
        if len(body) > LARGEST_ANSWER:
            raise exceptions.HTTPError("the answer is too large")
    return body


def _lines(response: BaseHTTPResponse, idle: float) -> Iterator[bytes]:
    """Neither a server that drips nor one whose line never ends holds us up, or fills the memory."""
    left, deadline = bytearray(), time.monotonic() + idle
    while chunk := response.read1(65536):
        left += chunk
        *whole, left = left.split(b"\n")
        for line in whole:
            yield bytes(line)
            deadline = time.monotonic() + idle  # however long that line took to be used
        if time.monotonic() > deadline:
            raise exceptions.TimeoutError("a line took too long")
        if len(left) > LONGEST_LINE:
            raise exceptions.HTTPError("a line of the answer is too large")
    if left:
        yield bytes(left)
