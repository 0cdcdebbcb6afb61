"""HTTPS calls to whichever of several equal servers answers, trusting one authority and showing one client certificate.

Whatever is called here must be idempotent: a call that broke off is made again. Proxies of the environment are ignored,
since a cluster's own machines are reached directly.
"""

from __future__ import annotations

import json
import secrets
import ssl
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from urllib3 import exceptions
from urllib3.response import BaseHTTPResponse

from .. import kept_files
from ..certificates import KeyPair, load_key
from ..errors import ControlPlaneError
from ..model import Endpoint

CONNECT_TIMEOUT = 5.0
"""Seconds until an address counts as silent; a machine of the same site answers in milliseconds."""

LARGEST_ANSWER = 64 * 1024 * 1024

NOT_SIGNED_FOR_THE_ADDRESS = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""

OUT_OF_TIME = (9, 10)
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""


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
        self._context = _context(authority, credential)
        self._timeout = timeout
        self._pools: dict[str, urllib3.HTTPSConnectionPool] = {}

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """The first answer that is no server's own failure (5xx, 429). Raises ControlPlaneError if there is none."""
        failures = []
        for address in self._addresses:
            try:
                answer = self.call_at(address, method, path, body)
            except ControlPlaneError as problem:
                failures.append(str(problem))
                continue
            if answer.status < 500 and answer.status != 429:
                self._addresses = (address, *(other for other in self._addresses if other != address))
                return answer
            failures.append(f"{answer.server} answers {answer.status} ({answer.reason})")
        reasons = "; ".join(failures) or "no address is known"
        raise ControlPlaneError(f"no master can be asked ({reasons}): start one, or mend the way to it, and run again")

    def call_at(self, address: str, method: str, path: str, body: object = None, timeout: float | None = None) -> Answer:
        """The answer of one address, whatever it is. Raises ControlPlaneError, naming the address, if there is none."""
        try:
            try:
                return self._attempt(address, method, path, body, timeout or self._timeout)
            except exceptions.ProtocolError:
                # Most likely a kept connection that the server has closed meanwhile; a second failure counts.
                return self._attempt(address, method, path, body, timeout or self._timeout)
        except exceptions.HTTPError as problem:
            raise ControlPlaneError(f"{self._server(address)} {_explain(problem)}") from problem

    def _attempt(self, address: str, method: str, path: str, body: object, timeout: float) -> Answer:
        deadline = time.monotonic() + timeout
        response = self._pool(address).urlopen(
            method,
            path,
            body=None if body is None else json.dumps(body).encode(),
            headers={"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "kube-provision"},
            timeout=urllib3.Timeout(connect=min(timeout, CONNECT_TIMEOUT), read=timeout),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            answer = Answer(self._server(address), response.status, _read(response, deadline))
        except BaseException:
            # What is left unread would be taken for the next answer.
            response.close()
            raise
        response.release_conn()
        return answer

    def _pool(self, address: str) -> urllib3.HTTPSConnectionPool:
        if address not in self._pools:
            at = self._endpoint(address, self._port)
            pool = urllib3.HTTPSConnectionPool(
                at.host, at.port, maxsize=8, ssl_context=self._context, server_hostname=address
            )
            self._pools.setdefault(address, pool)
        return self._pools[address]

    def _server(self, address: str) -> str:
        return f"[{address}]:{self._port}" if ":" in address else f"{address}:{self._port}"


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


def _context(authority: bytes, credential: KeyPair) -> ssl.SSLContext:
    """Trusts `authority` alone, and verifies the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=authority.decode())
    _load_credential(context, credential)
    return context


def _load_credential(context: ssl.SSLContext, credential: KeyPair) -> None:
    """Python's ssl reads keys from files only, so the key passes through one, encrypted with a password that does not.

    A run killed in between leaves nothing of use behind, on any file system.
    """
    password = secrets.token_bytes(32).hex()
    key = load_key(credential.key).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode())
    )
    with tempfile.TemporaryDirectory(prefix="kube-provision-") as folder:
        path = Path(folder) / "credential.pem"
        kept_files.create_file(path, credential.certificate + key)
        context.load_cert_chain(path, password=password)


def _explain(problem: exceptions.HTTPError) -> str:
    """Why there is no answer, after the address: for an operator, who knows the machines and not the library."""
    for cause in _causes(problem):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _explain_certificate(cause)
        if isinstance(cause, ssl.SSLError) and "alert" in str(cause).lower():
            return "refuses our certificate: another cluster answers there, or the clocks differ"
        if isinstance(cause, ssl.SSLEOFError):
            # A server may end the connection before what it objects to has reached us.
            return "ends the conversation: it refuses our certificate, or it is no master of this cluster"
    if isinstance(problem, exceptions.NewConnectionError):
        system = problem.__cause__
        return f"cannot be reached ({(isinstance(system, OSError) and system.strerror) or 'no connection'})"
    if isinstance(problem, exceptions.TimeoutError):
        return "does not answer in time"
    if isinstance(problem, exceptions.SSLError):
        return "does not speak TLS as a master does"
    if isinstance(problem, exceptions.ProtocolError):
        return "breaks the connection off"
    return f"gives no usable answer ({problem})"


def _explain_certificate(problem: ssl.SSLCertVerificationError) -> str:
    if problem.verify_code in NOT_SIGNED_FOR_THE_ADDRESS:
        return "has a certificate for other addresses: it is a machine of this cluster, but not the one expected there"
    if problem.verify_code in OUT_OF_TIME:
        return "has a certificate that is not valid now: check its clock and ours, or renew it with `kubeadm certs renew`"
    return "has a certificate that this cluster's authority has not signed: another cluster answers there"


def _causes(problem: BaseException) -> list[BaseException]:
    """The error, what it wraps and what caused it, at most eight deep."""
    causes: list[BaseException] = []
    cause: BaseException | None = problem
    while cause is not None and len(causes) < 8:
        causes.append(cause)
        wrapped = (argument for argument in cause.args if isinstance(argument, BaseException))
        cause = next(wrapped, None) or cause.__cause__ or cause.__context__
    return causes
