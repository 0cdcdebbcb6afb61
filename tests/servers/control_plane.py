"""An HTTPS stand-in for the API server of one master: the calls that kube-provision makes, under the cluster's real PKI.

    with ControlPlaneServer(pki, "127.0.0.11") as server:
        server.objects.add_node("m-prod-1", server.address, master=True)

It knows who calls by the client certificate, refuses all but the cluster's administrators, and can be told to fail.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from servers.cluster_objects import COLLECTIONS, SECRETS, ClusterObjects
from servers.refusals import RefusedError

from kube_provision_core.folder.pki import Pki
from kube_provision_core.folder.x509 import KeyPair, sign_server

ADMINISTRATORS = {"kubeadm:cluster-admins", "system:masters"}
ALL_SECRETS = "/api/v1/secrets"
CHUNK = 4096
FOR_EVERYBODY = {"/readyz", "/livez", "/healthz"}


@dataclass(frozen=True)
class Fault:
    """What happens to one request in place of its answer."""

    status: int = 0
    delay: float = 0.0
    """Seconds before the answer."""
    break_off: bool = False
    """Close the connection: after the request was carried out, which is the nastier half."""
    path: str = ""
    """It waits for a request whose path begins so."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    user: str


@dataclass(frozen=True)
class Call:
    """A request, read."""

    method: str
    path: str
    query: dict[str, list[str]]
    document: Any
    user: str
    groups: frozenset[str]
    token: str
    """What stands in its Authorization header after `Bearer`."""
    form: str = ""
    """The media type of its body."""


class ControlPlaneServer:
    """Listens while the context is open. `objects` may be shared with other masters of the cluster."""

    def __init__(
        self,
        pki: Pki,
        address: str = "127.0.0.1",
        port: int = 6443,
        objects: ClusterObjects | None = None,
        certificate_for: str | None = None,
        certificate_lifetime: timedelta = timedelta(days=365),
        credential: KeyPair | None = None,
    ) -> None:
        """`credential`: the server's certificate, in place of one that is signed for `certificate_for` or the address."""
        self.address = address
        self.port = port
        self.objects = objects or ClusterObjects()
        self.ready = True
        self.version = "v1.37.1"
        self.metrics = ""
        """What this server counts, beside what no test asks for."""
        self.faults: deque[Fault] = deque()
        """Used up one per request, in this order."""
        self.requests: list[Request] = []
        if credential is None:
            hosts = [certificate_for or address]
            credential = sign_server(pki.authority("ca"), "kube-apiserver", hosts, certificate_lifetime)
        self._context = server_context(credential, pki.ca)
        self._stopping = threading.Event()
        self._server: _Server | None = None

    def fault(self, path: str) -> Fault:
        """What happens to the request that has just come, for this path."""
        return self.faults.popleft() if self.faults and path.startswith(self.faults[0].path) else Fault()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Serve, also after a `stop`."""
        self._stopping.clear()
        self._server = _Server(self, self._context)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """From now on nobody answers. Idempotent."""
        self._stopping.set()
        if self._server is not None:
            self._server.stop()
            self._server = None

    def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the server's end."""
        self._stopping.wait(seconds)

    def is_ready(self) -> bool:
        """Asked for every look at /readyz."""
        return self.ready

    def answer(self, call: Call) -> tuple[int, Any]:
        """Status and document. Raises `RefusedError` for whoever may not, and for what does not exist."""
        if not ADMINISTRATORS & call.groups:
            raise RefusedError(403, f'User "{call.user}" cannot do this')
        return self.act(call)

    def act(self, call: Call) -> tuple[int, Any]:
        """Do to the objects what the call asks for."""
        objects, path = self.objects, call.path
        if (call.method, path) == ("GET", "/metrics"):
            return 200, f"# TYPE apiserver_requested_deprecated_apis gauge\n{self.metrics}"
        if (answered := objects.workloads.act(call, objects)) is not None:
            return answered
        if (call.method, path) == ("GET", ALL_SECRETS):
            listed = objects.list(SECRETS, *(int(call.query.get(key, ["0"])[0] or 0) for key in ("limit", "continue")))
            return 200, listed | {"items": [_in_their_namespace(item) for item in listed["items"]]}
        collection, _, name = (path, "", "") if path in COLLECTIONS else path.rpartition("/")
        if collection not in COLLECTIONS:
            raise RefusedError(404, "the server could not find the requested resource")
        match (call.method, bool(name)):
            case ("GET", False):
                limit, offset = (int(call.query.get(key, ["0"])[0]) for key in ("limit", "continue"))
                return 200, objects.list(collection, limit, offset)
            case ("GET", True):
                return 200, objects.get(collection, name)
            case ("POST", False):
                return 201, objects.create(collection, call.document)
            case ("PUT", True):
                return 200, objects.replace(collection, name, call.document)
            case ("DELETE", True):
                return 200, objects.delete(collection, name)
        raise RefusedError(405, "the server does not allow this method on the requested resource")


def _in_their_namespace(item: dict[str, Any]) -> dict[str, Any]:
    return item | {"metadata": item["metadata"] | {"namespace": "kube-system"}}


def server_context(server: KeyPair, authority: bytes) -> ssl.SSLContext:
    """Asks for a client certificate and verifies it if there is one, as the API server does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=authority.decode())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.pem"
        path.write_bytes(server.certificate + server.key)
        context.load_cert_chain(path)
    return context


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, stand_in: ControlPlaneServer, context: ssl.SSLContext) -> None:
        self.stand_in = stand_in
        self.context = context
        self.open: set[socket.socket] = set()
        super().__init__((stand_in.address, stand_in.port), _Handler)
        stand_in.port = self.server_port

    def get_request(self) -> tuple[socket.socket, Any]:
        plain, client = super().get_request()
        plain.settimeout(10)
        # The handshake is left to the connection's own thread: one silent client must not stop the others.
        connection = self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self.open.add(connection)
        return connection, client

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that break off are part of the tests."""

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self.open):
            # A dead machine answers nobody, on no kept connection either.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One segment per answer: header and body in two would wait for each other's acknowledgement.
    wbufsize = 65536
    server: _Server
    request: ssl.SSLSocket

    def setup(self) -> None:
        self.request.do_handshake()
        super().setup()

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        """Quiet."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        stand_in = self.server.stand_in
        stand_in.requests.append(Request(self.command, self.path, self._user()))
        fault = stand_in.fault(self.path)
        stand_in.pause(fault.delay)
        if fault.status:
            self._send(fault.status, _status(fault.status, "told to fail"))
            return
        status, document = self._carry_out(body)
        if fault.break_off:
            self.close_connection = True
            self.request.close()
            return
        self._send(status, document)

    def _carry_out(self, body: bytes) -> tuple[int, Any]:
        url = urlsplit(self.path)
        try:
            if url.path in FOR_EVERYBODY:
                return (200, "ok") if self.server.stand_in.is_ready() else (500, "[-]etcd failed: reason withheld")
            if url.path == "/version":
                return 200, {"gitVersion": self.server.stand_in.version}
            return self.server.stand_in.answer(self._read(body))
        except RefusedError as refused:
            return refused.status, _status(refused.status, refused.message) | refused.more

    def _read(self, body: bytes) -> Call:
        url = urlsplit(self.path)
        return Call(
            method=self.command,
            path=unquote(url.path),
            query=parse_qs(url.query),
            document=json.loads(body or b"{}"),
            user=self._user(),
            groups=frozenset(self._subject("organizationName")),
            token=self.headers.get("Authorization", "").removeprefix("Bearer "),
            form=self.headers.get("Content-Type", ""),
        )

    def _user(self) -> str:
        return next(iter(self._subject("commonName")), "system:anonymous")

    def _subject(self, attribute: str) -> set[str]:
        certificate: Any = self.request.getpeercert() or {}
        return {value for name in certificate.get("subject", ()) for key, value in name if key == attribute}

    def _send(self, status: int, document: Any) -> None:
        """In chunks, as Go sends what is not short."""
        content = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(document, str) else "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for begin in range(0, len(content), CHUNK):
            chunk = content[begin : begin + CHUNK]
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


def _status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
