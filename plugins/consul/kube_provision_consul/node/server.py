"""What a server that is closed is told besides, in the words of the version that is installed.

1.11 has another name for the first token, and 1.14 one more port. Delivered to servers alone.
"""

from __future__ import annotations

from typing import Any

from .version import TLS_BLOCK

HTTPS_PORT = 8501


def server_configuration(
    address: str, management: str, version: tuple[int, int], *, closing: bool = False
) -> dict[str, Any]:
    """HTTPS for the operator: its certificate is shown to anybody, and without a token nobody gets further.

    `closing`: who has no token, and no certificate, is taken all the same, but for what concerns tokens. It takes the place
    of what `closed_configuration` says of that.
    """
    first = "initial_management" if version >= (1, 11) else "master"
    acl: dict[str, Any] = {"tokens": {first: management}}
    own: dict[str, Any] = {
        "ports": {"https": HTTPS_PORT, **({"grpc_tls": -1} if version >= (1, 14) else {})},
        "addresses": {"https": address},
        "connect": {"enabled": False},
    }
    if not closing:
        return {"acl": acl, **own}
    anybody = (
        {"tls": {"internal_rpc": {"verify_incoming": False}}} if version >= TLS_BLOCK else {"verify_incoming_rpc": False}
    )
    return {"acl": acl | {"default_policy": "allow"}, **own, **anybody}
