"""From when until when a certificate is valid. Python's own library reads certificates of others only, in a handshake."""

from __future__ import annotations

import base64
import calendar
import re
import ssl
import time
from pathlib import Path
from typing import NamedTuple

LEAVES = (
    *("apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "front-proxy-client"),
    *("etcd/server", "etcd/peer", "etcd/healthcheck-client"),
)
KUBECONFIGS = ("admin", "controller-manager", "scheduler", "super-admin")
"""The last is on the master that initialised the cluster alone."""
KUBELET = "var/lib/kubelet/pki/kubelet-client-current.pem"

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_EMBEDDED = re.compile(r"client-certificate-data: *[\"']?([A-Za-z0-9+/=]+)")
_VERSION = 0xA0
"""Of a certificate; it may be left out. Validity follows it, the number, the algorithm and the issuer (RFC 5280, 4.1)."""
_FORMS = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}


class Validity(NamedTuple):
    """Seconds since the epoch."""

    begin: float
    end: float

    @property
    def life(self) -> float:
        return self.end - self.begin


def read_validity(path: Path) -> Validity:
    """Of the first certificate in a PEM file, or of the one in a kubeconfig. Raises `OSError`, or `ValueError` naming it."""
    try:
        return validity(read_certificate(path))
    except (IndexError, KeyError, ValueError) as problem:
        raise ValueError(f"{path} holds no certificate that can be read: {problem}") from problem


def read_certificate(path: Path) -> bytes:
    """As it goes over the wire (DER). Raises `OSError` or `ValueError`."""
    text = path.read_text()
    embedded = _EMBEDDED.search(text)
    block = _BLOCK.search(base64.b64decode(embedded[1]).decode() if embedded else text)
    if block is None:
        raise ValueError("there is none")
    return ssl.PEM_cert_to_DER_cert(block[0])


def validity(certificate: bytes) -> Validity:
    """Raises `IndexError`, `KeyError` or `ValueError` for what is no certificate."""
    ((_, whole),) = _elements(certificate)
    signed = _elements(whole)[0][1]
    fields = [content for tag, content in _elements(signed) if tag != _VERSION]
    begin, end = (_seconds(tag, content) for tag, content in _elements(fields[3]))
    return Validity(begin, end)


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each, in DER."""
    found, place = [], 0
    while place < len(data):
        tag, length, place = data[place], data[place + 1], place + 2
        if length & 0x80:
            size = length & 0x7F
            length, place = int.from_bytes(data[place : place + size], "big"), place + size
        found.append((tag, data[place : place + length]))
        place += length
    return found


def _seconds(tag: int, text: bytes) -> float:
    return float(calendar.timegm(time.strptime(text.decode(), _FORMS[tag])))
