"""Networks of this host that a wire may lead into, named by an interface: `bridge:br0`, `tap:kp0`, `vmnet:en0`.

A QEMU process without a machine joins the two: one device on the wire's switch, the other on the interface. Machines need no
rights for it, and neighbours in the network see each machine by its own hardware address.
"""

from __future__ import annotations

import fcntl
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kube_provision_core import NetworkCard

TIMEOUT = 10.0
"""Seconds for one trial, which takes a twentieth of one."""

_NAME = re.compile(r"(?P<kind>[a-z]+):(?P<interface>[A-Za-z0-9_][A-Za-z0-9_.-]{0,14})")
_SIOCGIFFLAGS, _IFF_UP = 0x8913, 1  # Linux


@dataclass(frozen=True)
class Kind:
    platform: str
    """In Python's words."""
    system: str
    """For people."""
    device: str
    """QEMU's network device."""
    advice: Mapping[str, str] = field(hash=False)
    """By a part of QEMU's words, what helps."""


_NO_RIGHTS = "not permitted"
_NO_DEVICE = {"open /dev/net/tun": "let your user open it, as systems do: chmod 666 /dev/net/tun"}

KINDS = {
    "bridge": Kind(
        "linux",
        "Linux",
        "bridge,br={}",
        {
            **_NO_DEVICE,
            "acl file": "let users in: a line `allow {}` in /etc/qemu/bridge.conf",
            _NO_RIGHTS: "QEMU's qemu-bridge-helper needs root's rights: chmod u+s it, below /usr/lib/qemu or /usr/libexec",
            "not supported": "name a bridge",
        },
    ),
    "tap": Kind(
        "linux",
        "Linux",
        "tap,ifname={},script=no,downscript=no",
        {
            **_NO_DEVICE,
            _NO_RIGHTS: "make it for your user: ip tuntap add {} mode tap user NAME",
            "Invalid argument": "name a tap",
            "busy": "one cluster has a tap for itself: make another",
        },
    ),
    "vmnet": Kind("darwin", "macOS", "vmnet-bridged,ifname={}", {"privileges": "macOS lets root alone do that: use sudo"}),
}


def kind_of(name: str) -> Kind | None:
    """None where a network so called is none of this host's."""
    found = _NAME.fullmatch(name)
    return KINDS.get(found["kind"]) if found else None


def has_interface(name: str) -> bool:
    """Whether the name is of a network of this host; an ill-formed one has no kind."""
    return ":" in name


def wire_of(card: NetworkCard) -> str:
    """Which wire the card is on; that of the cluster's own is empty, whatever the configuration calls it."""
    return card.name if card.role != "node" or has_interface(card.name) else ""


def device(name: str, identifier: str) -> str | None:
    """A `-netdev` for QEMU; None where the network is none of this host's."""
    kind = kind_of(name)
    if kind is None:
        return None
    backend, _, rest = kind.device.format(_interface(name)).partition(",")
    return f"{backend},id={identifier},{rest}"


def problems(binary: Path, name: str) -> Iterator[str]:
    """What keeps a process of this user's from joining that network: at most one line. That it is there proves nothing."""
    kind, interface = kind_of(name), _interface(name)
    if kind is None:
        return
    if sys.platform != kind.platform:
        others = ", ".join(f"{it}:…" for it, other in KINDS.items() if other.platform == sys.platform)
        yield f"{name} is for hosts with {kind.system}" + (f"; here it is {others}" if others else "")
    elif not _exists(interface):
        yield f"{name}: this host has no interface {interface}: make it, or name another"
    elif sys.platform == "linux" and not _is_up(interface):
        yield f"{name}: {interface} is down: ip link set {interface} up"
    elif said := _try(binary, name):
        advice = next((text for words, text in kind.advice.items() if words in said), "")
        yield f"{name} cannot be joined: {said}" + (f"; {advice.format(interface)}" if advice else "")


def _interface(name: str) -> str:
    return name.partition(":")[2]


def _exists(interface: str) -> bool:
    try:
        socket.if_nametoindex(interface)
    except OSError:
        return False
    return True


def _is_up(interface: str) -> bool:
    with socket.socket() as any_socket:
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16sH14x", interface.encode(), 0))
    return bool(struct.unpack("16sH14x", answer)[1] & _IFF_UP)


def _try(binary: Path, name: str) -> str:
    """Why QEMU cannot join it, in its own words; empty if it can."""
    quiet = ("-M", "none", "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "stdio")
    command = [str(binary), *quiet, "-netdev", str(device(name, "trial"))]
    try:
        ended = subprocess.run(
            command, input="quit\n", capture_output=True, text=True, errors="replace", timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"QEMU is not through with it after {TIMEOUT:.0f} s"
    except OSError as failure:
        return str(failure)
    if ended.returncode == 0:
        return ""
    lines = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    words = [line.rpartition(f"{command[-1]}: ")[2] for line in lines[-2:]]
    return ": ".join(reversed(words)) or f"QEMU ended with {ended.returncode}"
