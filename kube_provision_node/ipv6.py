"""This machine's IPv6 address in a dual-stack cluster: the one beside the IPv4 address by which others know it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

_LIMIT = 30.0
_PASSING = ("temporary", "deprecated", "tentative", "dadfailed")
"""Flags of addresses that will not stay, or are not this machine's yet; see ip-address(8)."""


class NoAddressError(OSError):
    """There is none that stays, so far: a router may announce its network later than DHCP answers."""


def address_beside(address: str) -> str:
    """That of the interface which has this IPv4 address; one that was given for good comes before one for a time.

    Raises `NoAddressError`, or another `OSError` where iproute2 does not tell.
    """
    for link in _links():
        entries = link.get("addr_info", ())
        if any(entry.get("local") == address for entry in entries):
            found = sorted(filter(_stays, entries), key=lambda entry: bool(entry.get("dynamic")))
            if found:
                return str(found[0]["local"])
            raise NoAddressError(f"{link['ifname']} has none that stays beside {address}")
    raise NoAddressError(f"no interface has {address}")


def _links() -> list[Any]:
    command = ["ip", "-json", "address", "show"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=True).stdout
        links: list[Any] = json.loads(told)
    except (subprocess.SubprocessError, ValueError) as problem:
        raise OSError(f"{' '.join(command)}: {problem}") from problem
    return links


def _stays(entry: Any) -> bool:
    return entry.get("family") == "inet6" and entry.get("scope") == "global" and not any(map(entry.get, _PASSING))
