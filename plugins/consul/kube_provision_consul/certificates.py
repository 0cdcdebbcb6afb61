"""The PEM files that the configuration names: read, and refused where they are of no use."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from kube_provision_core import ConfigError

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.+?\n-----END CERTIFICATE-----\n", re.DOTALL)
_ENCRYPTED = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)


def certificates(file: Path) -> str:
    """The certificates in a file, and nothing else of it: anybody on a machine may read them.

    Raises ValueError where there are none, and OSError.
    """
    found = "".join(_CERTIFICATE.findall(f"{text(file)}\n"))
    if not found:
        raise ValueError(f"{file} is no PEM file of certificates (`openssl x509 -inform der` makes one of a DER file)")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
    except ssl.SSLError as error:
        raise ValueError(f"{file} holds a certificate that cannot be read") from error
    _check_ends(file, found)
    return found


def _check_ends(file: Path, found: str) -> None:
    from cryptography import x509  # takes longer to load than all else that reads a configuration

    try:
        held = x509.load_pem_x509_certificates(found.encode())
    except ValueError as error:
        raise ValueError(f"{file} holds a certificate that cannot be read") from error
    for certificate in held:
        end = certificate.not_valid_after_utc
        if end < datetime.now(UTC):
            subject = certificate.subject.rfc4514_string()
            raise ValueError(f"{file} holds a certificate that ended on {end:%Y-%m-%d}: {subject}")


def check_pair(certificate: Path, key: Path) -> None:
    """Raise ValueError unless a server would take them together."""
    if _ENCRYPTED.search(text(key)):
        raise ValueError(f"{key} is protected by a password, which machines do not have: give a key without one")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="none")  # noqa: S106 - never a prompt
    except ssl.SSLError as error:
        reason = "is not that certificate's key" if error.reason == "KEY_VALUES_MISMATCH" else "cannot be used together"
        raise ValueError(f"{key}, the key of {certificate}: {reason} ({error.reason or error})") from error
    _check_ends(certificate, text(certificate))


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
