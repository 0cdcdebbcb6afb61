"""What a server that is closed is told besides, in the words of the version that is installed.

1.11 has another name for the first token, and 1.14 one more port. Delivered to servers alone.
"""

from __future__ import annotations

from typing import Any

HTTPS_PORT = 8501


def server_configuration(address: str, management: str, version: tuple[int, int]) -> dict[str, Any]:
    """HTTPS for the operator: its certificate is shown to anybody, and without a token nobody gets further."""
    first = "initial_management" if version >= (1, 11) else "master"
    return {
        "acl": {"tokens": {first: management}},
        "ports": {"https": HTTPS_PORT, **({"grpc_tls": -1} if version >= (1, 14) else {})},
        "addresses": {"https": address},
        "connect": {"enabled": False},
    }
