"""A network that exists in namespaces alone: nothing of it touches the machine's own.

    with Network() as network:
        link = network.link("m-prod-1", "10.77.0.11")

`Network(ipv6=True)` has both families. While the context is open the calling thread, and whatever it starts, stands in the
network's own namespace: at the bridge, with `network.gateway` for its address and a loopback interface of its own. Hosts
hang on links, one each.
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from servers.debian import require
from servers.own_network import own_network
from servers.process import DIES_WITH_PARENT

PREFIX = "10.77.0"
PREFIX6 = "fd00:77:"
GATEWAY6 = f"{PREFIX6}:1"
INTERFACE = "host0"
"""The name of a host's network interface."""


@dataclass(frozen=True)
class Link:
    """Where one host is plugged in. The host itself gives the interface its address."""

    name: str
    address: str
    mac: str
    gateway: str
    ipv6: str
    """Empty where the network has none."""
    holder: subprocess.Popen[bytes]
    """A process that does nothing but keep the namespace alive while the host is off."""

    @property
    def namespace(self) -> str:
        return f"/proc/{self.holder.pid}/ns/net"

    @property
    def end(self) -> str:
        """The bridge's end of the cable."""
        return f"v{self.address.rpartition('.')[2]}"


class Network:
    """Entered and left by one and the same thread."""

    gateway = f"{PREFIX}.1"

    def __init__(self, *, ipv6: bool = False) -> None:
        self._ipv6 = ipv6
        self._stack = ExitStack()
        self._links: dict[str, Link] = {}

    def __enter__(self) -> Self:
        require("ip")
        with ExitStack() as stack:
            stack.enter_context(own_network())
            # An address of its own: otherwise it is its lowest port's, and changes under its neighbours when that one goes.
            _ip("link", "add", "bridge", "address", "52:54:00:00:00:01", "type", "bridge")
            _ip("address", "add", f"{self.gateway}/24", "dev", "bridge")
            if self._ipv6:
                if not Path("/proc/net/if_inet6").exists():
                    raise RuntimeError("dual-stack clusters need IPv6, which this machine's kernel has switched off")
                _ip("address", "add", f"{GATEWAY6}/64", "dev", "bridge", "nodad")
            _ip("link", "set", "bridge", "up")
            stack.callback(self._unplug_all)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def link(self, name: str, address: str) -> Link:
        """Plug a host in. Its `name` is for people; the address is one of this network's, and nobody else's."""
        mac = "52:54:" + ":".join(f"{int(byte):02x}" for byte in address.split("."))
        holder = subprocess.Popen([*DIES_WITH_PARENT, "unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        ipv6 = f"{PREFIX6}:{int(address.rpartition('.')[2]):x}" if self._ipv6 else ""
        link = self._links[address] = Link(name, address, mac, self.gateway, ipv6, holder)
        _wait_for_namespace(holder.pid)
        _ip("link", "add", link.end, "type", "veth", "peer", "name", INTERFACE, "address", mac, "netns", str(holder.pid))
        _ip("link", "set", link.end, "master", "bridge", "up")
        return link

    def unplug(self, link: Link) -> None:
        """For good. Idempotent."""
        if self._links.pop(link.address, None):
            link.holder.kill()
            link.holder.wait(10)
            with suppress(RuntimeError):  # it goes by itself with its other end, at once or a little later
                _ip("link", "delete", link.end)

    def cut(self, link: Link) -> None:
        """Pull the cable: the host runs on, and nobody reaches it."""
        _ip("link", "set", link.end, "down")

    def mend(self, link: Link) -> None:
        _ip("link", "set", link.end, "up")

    def _unplug_all(self) -> None:
        for link in list(self._links.values()):
            self.unplug(link)


def _wait_for_namespace(pid: int) -> None:
    """Until the process has a namespace that is not ours."""
    ours = Path("/proc/thread-self/ns/net").readlink()
    for _ in range(500):
        with suppress(OSError):
            if Path(f"/proc/{pid}/ns/net").readlink() != ours:
                return
        subprocess.run(["sleep", "0.01"], check=True)
    raise TimeoutError("no namespace for a host in 5 s")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
