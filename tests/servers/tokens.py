"""A server that hands out tokens for a registry against a password, as those of Docker Hub, quay.io or GitLab do."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from servers.certificates import ServerCertificate

SERVICE = "site"
LIFETIME = 300
"""Seconds."""


def basic(username: str, password: str) -> str:
    """The header that a password travels in."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


@contextmanager
def token_server(address: str, certificate: ServerCertificate, authorization: str) -> Iterator[str]:
    """Its URL. Whoever does not send this header is given a token that opens nothing."""
    issuer = _Issuer(certificate)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = parse_qs(urlsplit(self.path).query).get("scope", [])
            granted = [_access(scope) for scope in wanted] if self.headers.get("Authorization") == authorization else []
            self._answer(200, {"token": issuer.token(granted)})

        def do_POST(self) -> None:
            """The newer way, which not every server has: clients then go the older one."""
            self._answer(405, {})

        def _answer(self, status: int, document: object) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
            """Quiet."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with ThreadingHTTPServer((address, 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        yield f"https://{address}:{server.server_port}/token"
        server.shutdown()


def _access(scope: str) -> dict[str, object]:
    kind, name, actions = scope.split(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


class _Issuer:
    """Signs with the key of the server's own certificate, which the registry is told to trust."""

    def __init__(self, certificate: ServerCertificate) -> None:
        key = load_pem_private_key(certificate.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        public = x509.load_pem_x509_certificate(certificate.certificate.read_bytes()).public_key()
        encoded = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        letters = base64.b32encode(hashlib.sha256(encoded).digest()[:30]).decode()
        self._name = ":".join(letters[at : at + 4] for at in range(0, len(letters), 4))

    def token(self, access: list[dict[str, object]]) -> str:
        now = int(time.time())
        claims = {
            **{"iss": SERVICE, "sub": "", "aud": SERVICE, "exp": now + LIFETIME, "nbf": now - LIFETIME, "iat": now},
            **{"jti": str(time.monotonic_ns()), "access": access},
        }
        text = ".".join(
            _base64(json.dumps(it).encode()) for it in ({"typ": "JWT", "alg": "ES256", "kid": self._name}, claims)
        )
        numbers = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(SHA256())))
        return f"{text}.{_base64(b''.join(number.to_bytes(32, 'big') for number in numbers))}"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
