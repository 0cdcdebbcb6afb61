"""How a QEMU process is connected to its cluster's switches, and connected again when one was started anew.

The `stream` device sits on a hub: a network card cannot be moved from a broken device to a new one, but a hub takes both.
(QEMU connects again by itself only from 8.0 on.)
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from .qmp import Qmp, QmpError

_STREAM = "uplink"

CONNECTING = 1.0
"""Seconds after which a process that has no connection is not connecting either: that takes milliseconds."""

CONNECTED = 5.0
"""Seconds that a busy process may take to connect."""

_POLL = 0.02


def uplink_arguments(folder: Path, switch: Path, hub: int = 0) -> list[str]:
    """Options that connect a process, whose working folder is `folder`, to that socket of a switch. Each has its own hub."""
    path = _relative(folder, switch).replace(",", ",,")
    stream, port = _names(hub)
    return [
        *("-netdev", f"stream,id={stream},server=off,addr.type=unix,addr.path={path}"),
        *hub_arguments(port, stream, hub=hub),
    ]


def hub_arguments(port: str, device: str | None = None, *, hub: int = 0) -> list[str]:
    """A port of the process's hub: for a network device, or for a card that names the port."""
    return ["-netdev", f"hubport,id={port},hubid={hub}" + (f",netdev={device}" if device else "")]


def is_connected(qmp: Qmp, hub: int = 0) -> bool:
    """Whether the process's connection to that switch is alive."""
    return re.search(rf"\b{_names(hub)[0]}: .*type=stream,unix:", qmp.monitor("info network")) is not None


def _names(hub: int) -> tuple[str, str]:
    stream = f"{_STREAM}{hub or ''}"
    return stream, f"{stream}-port"


def reconnect(qmp: Qmp, folder: Path, switch: Path, hub: int = 0) -> None:
    """Replace an uplink of a running process, as `uplink_arguments` made it. Raises QmpError.

    QEMU connects in the background, and crashes when a device goes whose connecting has not come to its end: whether it has,
    is waited for before and after.
    """
    _await_connection(qmp, hub, CONNECTING)
    devices, (stream, port) = qmp.monitor("info network"), _names(hub)
    for device in (stream, port):
        if re.search(rf"\b{device}: ", devices):
            qmp.execute("netdev_del", id=device)
    address = {"type": "unix", "path": _relative(folder, switch)}
    qmp.execute("netdev_add", type="stream", id=stream, server=False, addr=address)
    qmp.execute("netdev_add", type="hubport", id=port, hubid=hub, netdev=stream)
    if not _await_connection(qmp, hub, CONNECTED):
        raise QmpError("the switch does not take its connection")


def _await_connection(qmp: Qmp, hub: int, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not (connected := is_connected(qmp, hub)) and time.monotonic() < deadline:
        time.sleep(_POLL)
    return connected


def _relative(folder: Path, switch: Path) -> str:
    """Short, however deep `vm_dir` is: a socket's path holds about a hundred bytes."""
    return os.path.relpath(switch, folder)
