"""How a QEMU process is connected to its cluster's switch, and connected again when the switch was started anew.

The `stream` device sits on a hub: a network card cannot be moved from a broken device to a new one, but a hub takes both.
(QEMU connects again by itself only from 8.0 on.)
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from .qmp import Qmp
from .switch import SOCKET

_STREAM, _PORT = "uplink", "uplink-port"
_HUB = 0


def uplink_arguments(folder: Path, network: Path) -> list[str]:
    """Options that connect a process, whose working folder is `folder`, to the switch in `network`."""
    path = _relative(folder, network).replace(",", ",,")
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


def reconnect(qmp: Qmp, folder: Path, network: Path) -> None:
    """Replace the uplink of a running process. Raises QmpError."""
    devices = qmp.monitor("info network")
    for device in (_STREAM, _PORT):
        if re.search(rf"\b{device}: ", devices):
            qmp.execute("netdev_del", id=device)
    address = {"type": "unix", "path": _relative(folder, network)}
    qmp.execute("netdev_add", type="stream", id=_STREAM, server=False, addr=address)
    qmp.execute("netdev_add", type="hubport", id=_PORT, hubid=_HUB, netdev=_STREAM)


def _relative(folder: Path, network: Path) -> str:
    """Short, however deep `vm_dir` is: a socket's path holds about a hundred bytes."""
    return os.path.relpath(network / SOCKET, folder)
