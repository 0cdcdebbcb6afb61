"""How a Consul is told to be closed, in the words of the version that is installed: it ends at once on any that it does not
know. What a server is told besides is in `server`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .version import TLS_BLOCK

_LABELS = {"authority": "CERTIFICATE", "certificate": "CERTIFICATE", "key": " ".join(("PRIVATE", "KEY"))}
"""What a machine has for TLS, and what PEM calls it; not in one piece, which boot data are searched for."""


def pem(label: str, text: str) -> str:
    """`text`: DER in hexadecimal."""
    return f"-----BEGIN {label}-----\n{base64.encodebytes(bytes.fromhex(text)).decode()}-----END {label}-----\n"


def tls_files(identity: Mapping[str, Any]) -> dict[str, str]:
    """The content of the files that the agent reads, by what it is."""
    return {name: pem(label, identity[name]) for name, label in _LABELS.items()}


def closed_configuration(identity: Mapping[str, Any], files: Mapping[str, Path], version: tuple[int, int]) -> dict[str, Any]:
    """The part of any agent's configuration that keeps others out.

    Nobody without a token may do anything; RPC is taken from the cluster's own machines alone, and spoken with its servers
    alone. The token is for what the agent does itself: to what others ask on this machine it adds none.
    """
    tokens = {"agent": identity["token"]}
    acl = {"enabled": True, "default_policy": "deny", "down_policy": "extend-cache", "tokens": tokens}
    named = {
        "ca_file": str(files["authority"]),
        "cert_file": str(files["certificate"]),
        "key_file": str(files["key"]),
        "verify_outgoing": True,
    }
    if version >= TLS_BLOCK:
        internal = {"verify_incoming": True, "verify_server_hostname": True}
        return {"acl": acl, "tls": {"defaults": named, "internal_rpc": internal}}
    return {"acl": acl, **named, "verify_incoming_rpc": True, "verify_server_hostname": True}
