"""TLS to a cluster's own servers: one authority is trusted, and one client certificate shown."""

from __future__ import annotations

import secrets
import ssl
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from ..contract import kept_files
from ..folder.x509 import KeyPair, load_key


def context_for(authority: bytes, credential: KeyPair) -> ssl.SSLContext:
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
