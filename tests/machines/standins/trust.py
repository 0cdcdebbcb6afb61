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
            _, document = Api(f"https://{endpoint}").call("GET", CLUSTER_INFO)
            data = document["data"] if isinstance(document, dict) and "data" in document else {}
            if f"jws-kubeconfig-{token[:6]}" in data:
                break
            problem = f'token id "{token[:6]}" is invalid for this cluster or it has expired'
        except (OSError, HTTPException) as error:
            problem = str(error)
        if time.monotonic() > deadline:
            raise StandInError(f"error execution phase preflight: couldn't validate the API Server's identity: {problem}")
        time.sleep(1)
    text = data["kubeconfig"]
    if not hmac.compare_digest(data[f"jws-kubeconfig-{token[:6]}"], signature(text, token)):
        raise StandInError("error execution phase preflight: failed to verify JWS signature of received cluster info object")
    cluster = yaml.safe_load(text)["clusters"][0]["cluster"]
    authority = b64decode(cluster["certificate-authority-data"])
    if pin_of(authority) not in pins:
        raise StandInError("error execution phase preflight: none of the public keys of cluster-info is pinned")
    return cluster["server"], authority.decode()


def _encode(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
