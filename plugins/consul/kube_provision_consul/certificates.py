"""The PEM files that the configuration names: read, and refused where they are of no use."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path

from kube_provision_core import ConfigError, valid_certificates

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.+?\n-----END CERTIFICATE-----\n", re.DOTALL)
_ENCRYPTED = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)


def certificates(file: Path) -> str:
    """The certificates in a file, and nothing else of it: anybody on a machine may read them.

    Raises ValueError where there are none, and OSError.
    """
    found = "".join(_CERTIFICATE.findall(f"{text(file)}\n"))
    valid_certificates(found.encode(), str(file))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
    except ssl.SSLError as error:
        raise ValueError(f"{file} holds a certificate that cannot be read") from error
    return found


def check_pair(certificate: Path, key: Path) -> None:
    """Raise ValueError unless a server would take them together."""
    if _ENCRYPTED.search(text(key)):
        raise ValueError(f"{key} is protected by a password, which machines do not have: give a key without one")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="none")  # noqa: S106 - never a prompt
    except ssl.SSLError as error:
        reason = "is not that certificate's key" if error.reason == "KEY_VALUES_MISMATCH" else "cannot be used together"
        raise ValueError(f"{key}, the key of {certificate}: {reason} ({error.reason or error})") from error
    valid_certificates(text(certificate).encode(), str(certificate))


def text(file: Path) -> str:
    """Raises OSError."""
    return file.read_text(errors="replace").replace("\r\n", "\n")


def content_of(file: Path, read: Callable[[Path], str] = text) -> str:
    """Raises `ConfigError` where the file has changed for the worse since the configuration was checked."""
    try:
        return read(file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
