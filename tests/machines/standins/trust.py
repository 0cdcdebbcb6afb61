"""How a machine that knows a token and a pin comes to trust a cluster: kubeadm's discovery, signed as upstream signs it."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from http.client import HTTPException

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from machines.standins.api import CLUSTER_INFO, Api
from machines.standins.faults import StandInError

UNTRUSTED = "error execution phase preflight: couldn't validate the identity of the API Server"
UNHEARD = "failed to request the cluster-info ConfigMap"


def signature(content: str, token: str) -> str:
    """A detached JSON web signature: what the bootstrap signer puts beside the kubeconfig in cluster-info."""
    identity, _, secret = token.partition(".")
    header = _encode(json.dumps({"alg": "HS256", "kid": identity}, separators=(",", ":")).encode())
    digest = hmac.digest(secret.encode(), f"{header}.{_encode(content.encode())}".encode(), hashlib.sha256)
    return f"{header}..{_encode(digest)}"


def pin_of(certificate: bytes) -> str:
    key = x509.load_pem_x509_certificate(certificate).public_key()
    return "sha256:" + hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def discover(endpoint: str, token: str, pins: Sequence[str], limit: float) -> tuple[str, str]:
    """The server that the cluster names, and its authority. Raises `StandInError` if it cannot be trusted."""
    deadline = time.monotonic() + limit
    while True:
        problem = ""
        try:
            status, document = Api(f"https://{endpoint}").call("GET", CLUSTER_INFO)
            data = document["data"] if status == 200 else {}
            if f"jws-kubeconfig-{token[:6]}" in data:
                break
            problem = f'could not find a JWS signature in the cluster-info ConfigMap for token ID "{token[:6]}"'
            if status != 200:
                problem = f"{UNHEARD}: {document}"
        except (OSError, HTTPException) as error:
            problem = f'{UNHEARD}: Get "https://{endpoint}{CLUSTER_INFO}?timeout=10s": {error}'
        if time.monotonic() > deadline:
            raise StandInError(f"{UNTRUSTED}: {problem}")
        time.sleep(1)
    text = data["kubeconfig"]
    if not hmac.compare_digest(data[f"jws-kubeconfig-{token[:6]}"], signature(text, token)):
        raise StandInError(
            f"{UNTRUSTED}: failed to verify JWS signature of received cluster info object, can't trust this API Server"
        )
    cluster = yaml.safe_load(text)["clusters"][0]["cluster"]
    authority = b64decode(cluster["certificate-authority-data"])
    if pin_of(authority) not in pins:
        raise StandInError(
            f"{UNTRUSTED}: cluster CA found in cluster-info ConfigMap is invalid: "
            f'none of the public keys "{pin_of(authority)}" are pinned'
        )
    return cluster["server"], authority.decode()


def _encode(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
