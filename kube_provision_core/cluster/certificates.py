"""When the cluster's certificates end: what a handshake shows from outside, and what lies in the folder.

A certificate is looked at, not trusted: one that has ended is what is looked for. But one that this cluster's authority has
not signed is another cluster's.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from ..contract.errors import ControlPlaneError
from ..contract.machines import Cluster, Endpoint
from ..folder.kubeconfig import certificate_of
from ..folder.pki import AUTHORITIES, Pki

SOON = timedelta(days=30)
"""Masters renew their certificates when 90 days are left: what has fewer is in need of somebody."""

TIMEOUT = 5.0
"""Seconds for one handshake. A machine of the same site answers in milliseconds."""

SHOWN = {
    "apiserver": (6443, "ca"),
    "etcd-server": (2379, "etcd/ca"),
    "etcd-peer": (2380, "etcd/ca"),
}
"""Certificates that a port shows to whoever asks, under kubeadm's names, and the path of who has signed them. A kubelet
shows one as well, which it has signed itself and nobody checks."""

KUBELET, SUPER_ADMIN = "kubelet client", "super-admin.conf"
_LONGEST = 200
"""Letters of what a master says is wrong with a file."""

IN_FILES = (
    *("admin.conf", "apiserver-etcd-client", "apiserver-kubelet-client", "controller-manager.conf"),
    *("etcd-healthcheck-client", "front-proxy-client", "scheduler.conf", KUBELET),
)
"""Those that a master shows to others only, if at all. What the controller manager and the scheduler serve they make anew at
every start, for their machine alone."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate, and when it ends, as far as that is known."""

    machine: str
    """Empty for those of the cluster's folder."""
    name: str
    end: datetime | None = None
    unknown: str = ""
    """Why nobody could tell when it ends."""
    begin: datetime | None = None
    """Known of those in files alone."""

    def left(self, now: datetime) -> timedelta | None:
        return self.end - now if self.end else None

    def is_stale(self, now: datetime) -> bool:
        """A kubelet renews its own when between seven and nine tenths of its life are over."""
        if self.name != KUBELET or not self.begin or not self.end:
            return False
        return now > self.end - (self.end - self.begin) / 10

    def ends_soon(self, now: datetime) -> bool:
        return self.end is not None and self.end - now < SOON


def shown_by(masters: Mapping[str, str], cluster: Cluster, pki: Pki) -> Iterator[Certificate]:
    """What the masters, by name with their addresses, show in handshakes: all at once, each in `TIMEOUT` seconds."""
    wanted = [(machine, name) for machine in masters for name in SHOWN]
    with ThreadPoolExecutor(max(1, len(wanted))) as pool:
        yield from pool.map(lambda it: _shown(it[0], it[1], masters[it[0]], cluster, pki), wanted)


def kept(pki: Pki, kubeconfig: bytes | None) -> Iterator[Certificate]:
    """The folder's own: the authorities, and the operator's kubeconfig where there is one."""
    if kubeconfig is not None:
        yield _of_kubeconfig(kubeconfig)
    for path, common_name in AUTHORITIES.items():
        authority = x509.load_pem_x509_certificate(pki.files[f"{path}.crt"])
        yield Certificate("", "ca" if path == "ca" else common_name, authority.not_valid_after_utc)


def in_files(masters: Iterable[str], why: str) -> Iterator[Certificate]:
    return (Certificate(machine, name, unknown=why) for machine in masters for name in IN_FILES)


def told_by(machine: str, result: bytes) -> dict[str, Certificate]:
    """What a master has told of its files, by names. It may have been taken over: what is none is left out."""
    try:
        told = json.loads(result)
        return {name: _told(machine, name, told[name]) for name in (*SHOWN, *IN_FILES, SUPER_ADMIN) if name in told}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _told(machine: str, name: str, said: dict[str, Any]) -> Certificate:
    if "error" in said:
        return Certificate(machine, name, unknown=str(said["error"])[:_LONGEST])
    try:
        begin, end = (datetime.fromtimestamp(said[key], UTC) for key in ("begin", "end"))
    except (OverflowError, OSError) as error:
        raise ValueError(f"{name}: {error}") from error
    return Certificate(machine, name, end, begin=begin)


def _shown(machine: str, name: str, address: str, cluster: Cluster, pki: Pki) -> Certificate:
    port, signer = SHOWN[name]
    try:
        found = handshake(cluster.endpoint(address, port), address, port)
        check_signature(found, pki.files[f"{signer}.crt"], f"{address}:{port}")
    except ControlPlaneError as error:
        return Certificate(machine, name, unknown=str(error))
    return Certificate(machine, name, found.not_valid_after_utc)


def handshake(at: Endpoint, name: str, port: int = 0) -> x509.Certificate:
    """What the server shows there; that it then asks for one of ours is no matter. Raises `ControlPlaneError`.

    `name`, and `port` where that is another one, are what people know it by.
    """
    server = f"{name}:{port or at.port}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # looked at, not trusted; nothing is sent or read
    try:
        with (
            socket.create_connection((at.host, at.port), TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            shown = connection.getpeercert(binary_form=True)
    except OSError as error:
        raise ControlPlaneError(f"no handshake with {server}: {error.strerror or error}") from error
    if not shown:
        raise ControlPlaneError(f"no handshake with {server}: it shows no certificate")
    return x509.load_der_x509_certificate(shown)


def check_signature(found: x509.Certificate, authority: bytes, server: str) -> None:
    try:
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (ValueError, TypeError, InvalidSignature) as error:
        raise ControlPlaneError(f"{server} shows a certificate that this cluster's authority has not signed") from error


def _of_kubeconfig(content: bytes) -> Certificate:
    try:
        return Certificate("", "kubeconfig", certificate_of(content).not_valid_after_utc)
    except ValueError as error:
        return Certificate("", "kubeconfig", unknown=str(error))
