"""Which Consul is installed, and what its version writes in its own way.

Runs on a node: repositories have what they have, and only the machine knows.
"""

from __future__ import annotations

import re
import subprocess
from typing import Any

from .api import UnavailableError

PROGRAM = "/usr/bin/consul"

_LIMIT = 60.0
TLS_BLOCK = (1, 12)
"""The first version that has `tls { … }`. It still takes the settings at the top level, and warns of each."""


def installed_version() -> tuple[int, int]:
    """Major and minor. Raises `UnavailableError`."""
    try:
        done = subprocess.run([PROGRAM, "version"], stdout=subprocess.PIPE, timeout=_LIMIT, check=True)
    except (OSError, subprocess.SubprocessError) as problem:
        raise UnavailableError(f"`{PROGRAM} version` does not tell it: {problem}") from problem
    found = re.search(rb"Consul v(\d+)\.(\d+)", done.stdout)
    if found is None:
        raise UnavailableError(f"`{PROGRAM} version` tells none: {done.stdout[:100]!r}")
    return int(found.group(1)), int(found.group(2))


def tls_settings(settings: dict[str, Any], version: tuple[int, int]) -> dict[str, Any]:
    """`ca_file`, `cert_file`, `key_file` and `verify_…`, as this version takes them."""
    return {"tls": {"defaults": settings}} if version >= TLS_BLOCK else settings
