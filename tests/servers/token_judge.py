"""An API server of a cluster, as far as a machine that has yet to join asks it: who it is, whether a token is good."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from servers.control_plane import server_context

from kube_provision_core.folder.pki import Pki
from kube_provision_core.folder.x509 import sign_server


@contextmanager
def api_server(pki: Pki, statuses: Mapping[str, int], claims: bytes | None = None) -> Iterator[tuple[int, list[str]]]:
    """Answers as it is told under its own certificate; what it was shown. `claims`: authorities that it calls its own."""
    shown: list[str] = []
    encoded = base64.b64encode(claims or pki.files["ca.crt"]).decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "Authorization" in self.headers:
                shown.append(self.headers["Authorization"])
            body = f"    certificate-authority-data: {encoded}\n".encode()
            self.send_response(statuses.get(self.path, 200))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    credential = sign_server(pki.authority("ca"), "kube-apiserver", ["localhost"], timedelta(hours=1))
    listener.socket = server_context(credential, pki.ca).wrap_socket(listener.socket, server_side=True)
    threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield listener.server_port, shown
    finally:
        listener.shutdown()
        listener.server_close()
