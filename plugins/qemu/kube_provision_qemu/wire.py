"""How a QEMU process is connected to its cluster's switch, and connected again when the switch was started anew.

The `stream` device sits on a hub: a network card cannot be moved from a broken device to a new one, but a hub takes both.
(QEMU connects again by itself only from 8.0 on.)
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from .qmp import Qmp, QmpError

_STREAM, _PORT = "uplink", "uplink-port"
_HUB = 0

CONNECTING = 1.0
"""Seconds after which a process that has no connection is not connecting either: that takes milliseconds."""

CONNECTED = 5.0
"""Seconds that a busy process may take to connect."""

_POLL = 0.02


def uplink_arguments(folder: Path, switch: Path) -> list[str]:
    """Options that connect a process, whose working folder is `folder`, to that socket of a switch."""
    path = _relative(folder, switch).replace(",", ",,")
    return [
        *("-netdev", f"stream,id={_STREAM},server=off,addr.type=unix,addr.path={path}"),
        *hub_arguments(_PORT, _STREAM),
    ]


def hub_arguments(port: str, device: str | None = None) -> list[str]:
    """A port of the process's hub: for a network device, or for a card that names the port."""
    return ["-netdev", f"hubport,id={port},hubid={_HUB}" + (f",netdev={device}" if device else "")]


def is_connected(qmp: Qmp) -> bool:
    """Whether the process's connection to a switch is alive."""
    return re.search(rf"{_STREAM}: .*type=stream,unix:", qmp.monitor("info network")) is not None


def reconnect(qmp: Qmp, folder: Path, switch: Path) -> None:
    """Replace the uplink of a running process, as `uplink_arguments` made it. Raises QmpError.

    QEMU connects in the background, and crashes when a device goes whose connecting has not come to its end: whether it has,
    is waited for before and after.
    """
    _await_connection(qmp, CONNECTING)
    devices = qmp.monitor("info network")
    for device in (_STREAM, _PORT):
        if re.search(rf"\b{device}: ", devices):
            qmp.execute("netdev_del", id=device)
    address = {"type": "unix", "path": _relative(folder, switch)}
    qmp.execute("netdev_add", type="stream", id=_STREAM, server=False, addr=address)
    qmp.execute("netdev_add", type="hubport", id=_PORT, hubid=_HUB, netdev=_STREAM)
    if not _await_connection(qmp, CONNECTED):
        raise QmpError("the switch does not take its connection")


def _await_connection(qmp: Qmp, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not (connected := is_connected(qmp)) and time.monotonic() < deadline:
        time.sleep(_POLL)
    return connected


def _relative(folder: Path, switch: Path) -> str:
    """Short, however deep `vm_dir` is: a socket's path holds about a hundred bytes."""
    return os.path.relpath(switch, folder)
