"""Hosts as a configuration names them, alone or with a port: one grammar for servers, URLs, registries and images."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Annotated

from pydantic import AfterValidator

LOWER_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
"""Of a name in DNS: RFC 1123, section 2.1."""
NAME = rf"{LABEL}(\.{LABEL})*"
PORT = r"(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
HOST_AND_PORT = rf"({NAME}|\[[0-9a-fA-F:.]+\])(:{PORT})?"
"""A pattern for larger ones, the port left out or given. What looks like an address is looked at by `host_fault`."""

LONGEST_NAME = 253
_PARTS = re.compile(r"(?P<host>\[.*\]|.*?)(?P<colon>:(?P<port>[^:]*))?", re.DOTALL)


def host_fault(text: str) -> str:
    """What is wrong with a host, or a host and its port; empty where nothing is. Quotes nothing: a password may be in it."""
    parts = _PARTS.fullmatch(text)
    assert parts is not None, "it takes everything"
    if not parts["host"]:
        return "has no host"
    if parts["colon"] and not re.fullmatch(PORT, parts["port"]):
        return "has a port that is no number from 1 to 65535"
    if not _is_host(parts["host"]):
        return (
            "has a host that is no DNS name (letters, digits, dots, inner hyphens; other scripts as xn--…) and no address, "
            "of which IPv6's stand in brackets"
        )
    return ""


def _is_host(text: str) -> bool:
    if text.startswith("["):
        return _is(IPv6Address, text[1:-1]) and "%" not in text
    if text.rpartition(".")[2].isdecimal():
        return _is(IPv4Address, text)
    return len(text) <= LONGEST_NAME and re.fullmatch(NAME, text) is not None


def _is(address: Callable[[str], object], text: str) -> bool:
    try:
        address(text)
    except AddressValueError:
        return False
    return True


def _checked(text: str) -> str:
    if fault := host_fault(text):
        raise ValueError(fault)
    return text


HostAndPort = Annotated[str, AfterValidator(_checked)]
"""`host`, or `host:port`; an IPv6 address stands in brackets."""
