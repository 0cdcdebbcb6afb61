"""The node's way to the API servers: an nginx of our own on localhost, pointed at the masters that are healthy."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import logging
import os
import signal
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from string import Template

from . import process
from .kept_files import replace_file
from .settings import Places

log = logging.getLogger(__name__)

_HERE = Path(__file__).resolve().parent
_TEST_LIMIT = 20.0
_MODE = 0o644
"""Nothing in it is secret."""


@dataclass(frozen=True)
class Proxy:
    places: Places
    port: int = 8443
    api_port: int = 6443

    @property
    def configuration(self) -> Path:
        return self.places.config / "nginx.conf"

    @property
    def pid_file(self) -> Path:
        return self.places.volatile / "nginx.pid"

    def prepare(self) -> None:
        """Make sure that nginx has a configuration to start with: one without a listener, unless there is one already.

        A refused connection says the truth where there are no masters yet, and the last good list outlives a reboot.
        """
        self.places.volatile.mkdir(parents=True, exist_ok=True)
        if not self.configuration.exists():
            replace_file(self.configuration, self.render(()), _MODE)

    def show(self, masters: Sequence[str]) -> bool:
        """Point the proxy at these addresses; whether it is now. An empty list never replaces one that is not.

        The configuration that nginx's own test refuses is dropped, and nginx keeps the one it has.
        """
        addresses = [host for host in masters if _is_address(host)]
        if not addresses:
            return False
        wanted = self.render(addresses)
        with self._alone():
            if self.configuration.exists() and self.configuration.read_text() == wanted:
                return True
            candidate = self.configuration.with_suffix(".new")
            replace_file(candidate, wanted, _MODE)
            if not self._passes_test(candidate):
                candidate.unlink()
                return False
            candidate.replace(self.configuration)
            self._reload()
        log.info("port %d leads to %s", self.port, ", ".join(addresses))
        return True

    def render(self, masters: Sequence[str]) -> str:
        listener = ""
        if masters:
            servers = [f"server {_bracketed(host)}:{self.api_port} max_fails=1 fail_timeout=10s;" for host in masters]
            addresses = [f"listen {host}:{self.port};" for host in loopback_hosts()]
            listener = _template("listener.conf").substitute(servers=_lines(servers), addresses=_lines(addresses))
        return _template("nginx.conf").substitute(pid=self.pid_file, listener=listener)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """The follower and the master that initialises the cluster may both want to write."""
        self.places.volatile.mkdir(parents=True, exist_ok=True)
        with (self.places.volatile / "nginx.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _passes_test(self, candidate: Path) -> bool:
        try:
            outcome = process.run(["nginx", "-t", "-q", "-c", str(candidate)], timeout=_TEST_LIMIT)
        except OSError as problem:
            log.error("nginx cannot be run: %s", problem)
            return False
        if not outcome.ok:
            log.error("nginx refuses the new list of masters, the old one stays: %s", " ".join(outcome.tail[-1:]))
        return outcome.ok

    def _reload(self) -> None:
        """nginx that does not run reads its configuration when it starts."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            os.kill(int(self.pid_file.read_text()), signal.SIGHUP)


def unready(port: int, timeout: float = 5.0) -> str:
    """Why no API server answers on this local port; empty when one says that it is ready. A listening port proves nothing.

    The certificate is not verified here, because a joining node has no authority to verify it with yet. Nothing is sent and
    nothing is learnt but "ready"; `kubeadm join` pins the authority itself.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = HTTPSConnection("localhost", port, timeout=timeout, context=context)
    url = f"https://localhost:{port}/readyz"
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, HTTPException) as problem:
        return f"{url}: {str(problem) or type(problem).__name__}"
    finally:
        connection.close()
    return "" if status == 200 else f"{url} answers {status}"


def loopback_hosts() -> list[str]:
    """`localhost` may mean `::1` first, but a host without IPv6 has none, and nginx would refuse to listen on it."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return ["127.0.0.1"]
    return ["127.0.0.1", "[::1]"]


def _is_address(host: str) -> bool:
    """What discovery says becomes part of a configuration that root reads: nothing but an address may."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        log.warning("%r is no address of a master", host)
        return False
    return "%" not in host  # a scope may be any text


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _lines(entries: Sequence[str]) -> str:
    return "\n".join(f"        {entry}" for entry in entries)


def _template(name: str) -> Template:
    return Template((_HERE / name).read_text())
