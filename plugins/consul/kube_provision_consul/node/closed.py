"""How a Consul is told to be closed, in the words of the version that is installed: it ends at once on any that it does not
know. 1.11 renamed the first token, 1.12 what is said of TLS, and 1.14 has one more port.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HTTPS_PORT = 8501
_LABELS = {"authority": "CERTIFICATE", "certificate": "CERTIFICATE", "key": "EC PRIVATE KEY"}
"""What a machine has for TLS, and what PEM calls it."""


def pem(label: str, text: str) -> str:
    """`text`: DER in hexadecimal."""
    return f"-----BEGIN {label}-----\n{base64.encodebytes(bytes.fromhex(text)).decode()}-----END {label}-----\n"


def tls_files(identity: Mapping[str, Any]) -> dict[str, str]:
    """The content of the files that the agent reads, by what it is."""
    return {name: pem(label, identity[name]) for name, label in _LABELS.items()}


def closed_configuration(
    identity: Mapping[str, Any], files: Mapping[str, Path], server: str, version: tuple[int, ...]
) -> dict[str, Any]:
    """The part of an agent's configuration that keeps others out. `server`: that one's address, empty for any other agent.

    Nobody without a token may do anything; RPC is taken from the cluster's own machines alone, and spoken with its servers
    alone. The token is for what the agent does itself: to what others ask on this machine it adds none.
    """
    tokens = {"agent": identity["token"]}
    if server:
        tokens["initial_management" if version >= (1, 11) else "master"] = identity["token"]
    acl = {"enabled": True, "default_policy": "deny", "down_policy": "extend-cache", "tokens": tokens}
    return {"acl": acl, **_tls(files, version), **(_server(server, version) if server else {})}


def _tls(files: Mapping[str, Path], version: tuple[int, ...]) -> dict[str, Any]:
    named = {
        "ca_file": str(files["authority"]),
        "cert_file": str(files["certificate"]),
        "key_file": str(files["key"]),
        "verify_outgoing": True,
    }
    if version >= (1, 12):
        return {"tls": {"defaults": named, "internal_rpc": {"verify_incoming": True, "verify_server_hostname": True}}}
    return {**named, "verify_incoming_rpc": True, "verify_server_hostname": True}


def _server(address: str, version: tuple[int, ...]) -> dict[str, Any]:
    """HTTPS for the operator; its certificate is shown to anybody, and without a token nobody gets further."""
    ports = {"https": HTTPS_PORT, **({"grpc_tls": -1} if version >= (1, 14) else {})}
    return {"ports": ports, "addresses": {"https": address}, "connect": {"enabled": False}}
