"""Certificates that a configuration names: read, and refused where nobody would take them any more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def valid_certificates(pem: bytes, name: str = "") -> list[Certificate]:
    """Those in a PEM text, whatever else stands there. Raises ValueError where there are none or one is of no use.

    `name`: with what that begins, such as the file's path.
    """
    from cryptography import x509  # takes longer to load than all else that reads a configuration

    it = f"{name} " if name else ""
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise ValueError(f"{it}is no PEM file of certificates (`openssl x509 -inform der` makes one of a DER file)")
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ValueError(f"{it}holds a certificate that cannot be read") from error
    for certificate in found:
        end = certificate.not_valid_after_utc
        if end < datetime.now(UTC):
            subject = certificate.subject.rfc4514_string()
            raise ValueError(f"{it}holds a certificate that ended on {end:%Y-%m-%d}: {subject}")
    return found
