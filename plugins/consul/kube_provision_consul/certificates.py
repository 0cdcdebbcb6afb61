"""The PEM files that the configuration names: read, and refused where they are of no use."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

from kube_provision_core import BootError, telling_os_errors

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.+?\n-----END CERTIFICATE-----\n", re.DOTALL)
_ENCRYPTED = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)


def authorities(file: Path) -> str:
    """The certificates in a file, and nothing else of it: they go to every machine.

    Raises ValueError where there are none, and OSError.
    """
    found = "".join(_CERTIFICATE.findall(f"{_text(file)}\n"))
    if not found:
        raise ValueError(f"{file} is no PEM file of certificates (`openssl x509 -inform der` makes one of a DER file)")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
    except ssl.SSLError as error:
        raise ValueError(f"{file} holds a certificate that cannot be read") from error
    return found


def check_pair(certificate: Path, key: Path) -> None:
    """Raise ValueError unless a server would take them together."""
    if _ENCRYPTED.search(_text(key)):
        raise ValueError(f"{key} is protected by a password, which machines do not have: give a key without one")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="none")  # noqa: S106 - never a prompt
    except ssl.SSLError as error:
        reason = "is not that certificate's key" if error.reason == "KEY_VALUES_MISMATCH" else "cannot be used together"
        raise ValueError(f"{key}, the key of {certificate}: {reason} ({error.reason or error})") from error


def read(file: Path) -> str:
    """For a machine. Raises `BootError`."""
    with telling_os_errors(f"{file}: cannot be read", BootError):
        return _text(file)


def _text(file: Path) -> str:
    return file.read_text(errors="replace").replace("\r\n", "\n")
