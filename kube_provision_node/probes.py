"""What a node can find out about itself, in a moment, when a step has failed. Probes are bounded and change nothing.

A probe that cannot know answers None, or nothing: a diagnosis needs evidence, not the lack of it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import re
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Callable, NamedTuple
from urllib.parse import urlsplit

from . import authorities

_LIMIT = 4.0
_MOST_SERVERS = 3
_LARGEST_ANSWER = 256 * 1024
_UP, _REJECTS = 0x1, 0x200
"""Flags of a route, in the kernel's route.h."""
_CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"


@dataclass(frozen=True)
class Probes:
    """Looks at the machine whose `/proc` is `proc`."""

    proc: Path = Path("/proc")
    now: Callable[[], float] = time.time
    join: Path = Path("/etc/kube-provision/kubeadm-join.yaml")
    """What kubeadm is told to join with."""
    resolver: Path = Path("/etc/resolv.conf")
    kubelet: tuple[Path, ...] = (
        Path("/var/lib/kubelet/config.yaml"),
        Path("/etc/kubernetes/kubelet.conf.d/50-kube-provision.conf"),
    )
    """What it is told, with all others and by itself."""

    def has_default_route(self) -> bool | None:
        """Whether there is a way to addresses outside of the machine's own networks."""
        tables = [self._table("net/route"), self._table("net/ipv6_route")]
        if tables == [None, None]:
            return None
        old, new = (table or [] for table in tables)
        return any(map(_is_default, old)) or any(map(_is_default6, new))

    def has_route_to(self, address: str) -> bool | None:
        """Whether the kernel knows a way there; nothing is sent."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((address, 9))
            except OSError as problem:
                return False if problem.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH) else None
        return True

    def swaps(self) -> tuple[str, ...]:
        """Devices and files that are swapped to, unless the kubelet is told to run beside them."""
        if any("\nfailSwapOn: false" in path.read_text() for path in self.kubelet if path.exists()):
            return ()
        return tuple(entry[0] for entry in (self._table("swaps") or [])[1:])

    def clock_ahead(self, urls: Iterable[str]) -> float | None:
        """Seconds that this machine's clock is ahead of the first of these servers that tells its time; negative: behind.

        A certificate is not verified: it is likely to be what cannot be, and the answer is only shown.
        """
        for url in list(dict.fromkeys(urls))[:_MOST_SERVERS]:
            found = self._clock_ahead(url)
            if found is not None:
                return found
        return None

    def _clock_ahead(self, url: str) -> float | None:
        answer = _ask(url, "HEAD")
        if answer is None:
            return None
        try:
            told = parsedate_to_datetime(answer.date).timestamp()
            age = int(answer.age)  # a cache passes the origin's old date on
        except (TypeError, ValueError, OverflowError):
            return None
        return self.now() - told - age

    def authority(self, port: int) -> str | None:
        """The pin of the authority of the cluster that answers on this port of localhost."""
        try:
            return authorities.pin_of(_authority(port))
        except authorities.UnfitError:
            return None

    def accepts_token(self, port: int, pin: str) -> bool | None:
        """Whether the cluster of this pin, answering on this port of localhost, still knows this machine's join token.

        Its API server compares the token's end with its own clock, so this machine's may be wrong. Nobody but that cluster
        is shown the token; and a server that is not ready may not have read its tokens yet.
        """
        authority, token = _authority(port), self._token()
        try:
            if not token or authorities.pin_of(authority) != pin:
                return None
            context = ssl.create_default_context(cadata=authority)
        except (authorities.UnfitError, ssl.SSLError):
            return None
        with contextlib.closing(HTTPSConnection("localhost", port, timeout=_LIMIT, context=context)) as connection:
            try:
                ready = _status(connection, "/readyz") == 200
                status = _status(connection, "/api", {"Authorization": f"Bearer {token}"})
            except (OSError, HTTPException):
                return None
        return status != 401 if ready and status < 500 else None

    def _token(self) -> str:
        """Gone when the machine is a member."""
        with contextlib.suppress(OSError):
            found = re.search(r"^ *token: *(\S+)$", self.join.read_text(), re.MULTILINE)
            return found.group(1) if found else ""
        return ""

    def has_resolver_file(self) -> bool:
        """A link that leads nowhere is none."""
        return self.resolver.exists()

    def _table(self, name: str) -> list[list[str]] | None:
        try:
            return [line.split() for line in (self.proc / name).read_text().splitlines() if line.strip()]
        except OSError:
            return None


def _is_default(entry: list[str]) -> bool:
    """A line of /proc/net/route: interface, destination, gateway, flags, …, mask at the eighth place, all hexadecimal."""
    try:
        flags = int(entry[3], 16)
        return int(entry[1], 16) == 0 and int(entry[7], 16) == 0 and bool(flags & _UP) and not flags & _REJECTS
    except (IndexError, ValueError):  # the headline
        return False


def _is_default6(entry: list[str]) -> bool:
    """A line of /proc/net/ipv6_route: destination, its length, …, flags at the ninth place, interface at the end."""
    try:
        flags = int(entry[8], 16)
        return int(entry[0], 16) == 0 and entry[1] == "00" and not flags & _REJECTS and entry[-1] != "lo"
    except (IndexError, ValueError):
        return False


def _authority(port: int) -> str:
    """The authority that the cluster on this port of localhost names as its own; empty if it cannot be known.

    Of several the first alone: it is the one whose pin is compared, and no other may be trusted in its name.
    """
    answer = _ask(f"https://localhost:{port}{_CLUSTER_INFO}", "GET")
    found = re.search(r"certificate-authority-data: ([\w+/=]+)", answer.text if answer else "")
    with contextlib.suppress(binascii.Error, ValueError):
        first, end, _ = base64.b64decode(found.group(1)).decode().partition(ssl.PEM_FOOTER) if found else ("", "", "")
        return first + end
    return ""


def _status(connection: HTTPSConnection, path: str, headers: dict[str, str] | None = None) -> int:
    """On one connection after another question: a proxy leads them to the same server."""
    connection.request("GET", path, headers={"User-Agent": "kube-provision", **(headers or {})})
    with connection.getresponse() as answer:
        answer.read(_LARGEST_ANSWER)
        return answer.status


class Answer(NamedTuple):
    date: str
    age: str
    text: str


def _ask(url: str, method: str) -> Answer | None:
    try:
        parts = urlsplit(url)
        port, path = parts.port, parts.path or "/"
    except ValueError:
        return None
    if not parts.hostname or parts.scheme not in ("http", "https"):
        return None
    with contextlib.closing(_connection(parts.scheme, parts.hostname, port)) as connection:
        try:
            connection.request(method, path, headers={"User-Agent": "kube-provision"})
            with connection.getresponse() as answer:
                return Answer(answer.getheader("Date", ""), answer.getheader("Age", "0"), _text(answer))
        except (OSError, HTTPException, ValueError):
            return None


def _connection(scheme: str, host: str, port: int | None) -> HTTPConnection:
    if scheme == "http":
        return HTTPConnection(host, port, timeout=_LIMIT)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, port, timeout=_LIMIT, context=context)


def _text(answer: HTTPResponse) -> str:
    """As much as comes in time."""
    deadline, body = time.monotonic() + _LIMIT, b""
    while time.monotonic() < deadline and len(body) < _LARGEST_ANSWER:
        chunk = answer.read1(65536)
        if not chunk:
            break
        body += chunk
    return body.decode(errors="replace")
