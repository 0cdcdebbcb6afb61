"""Ports of this host that lead to ports of machines: rules of the router's user-mode networking."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .qmp import Qmp

HOST = "127.0.0.1"
"""Nobody but this host's users reaches the machines."""

DEVICE = "outside"
"""The router's user-mode network device."""

FIRST, COUNT = 20000, 10000
"""Host ports, below those that systems hand out by themselves."""

_RULE = re.compile(r"TCP\[HOST_FORWARD\]\s+\S+\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)")


@dataclass(frozen=True)
class Forward:
    host_port: int
    address: str
    port: int


def candidates(machine: str, port: int) -> Iterator[int]:
    """Host ports for a machine's port, the first one always the same."""
    digest = hashlib.sha256(f"{machine}:{port}".encode()).digest()
    start = int.from_bytes(digest[:4], "big") % COUNT
    return (FIRST + (start + step) % COUNT for step in range(COUNT))


def active(router: Qmp) -> set[Forward]:
    """The rules that are in force. Raises QmpError, as all functions here do."""
    rules = _RULE.findall(router.monitor("info usernet"))
    return {Forward(int(host_port), address, int(port)) for host, host_port, address, port in rules if host == HOST}


def add(router: Qmp, forward: Forward) -> bool:
    """Whether the host port was free; then the rule is in force."""
    said = router.monitor(f"hostfwd_add {DEVICE} tcp:{HOST}:{forward.host_port}-{forward.address}:{forward.port}")
    return not said


def remove(router: Qmp, forward: Forward) -> None:
    router.monitor(f"hostfwd_remove {DEVICE} tcp:{HOST}:{forward.host_port}")
