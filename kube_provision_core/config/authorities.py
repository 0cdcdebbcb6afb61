"""A site's own certificate authorities: a PEM file or its text → certificates alone, each of them still valid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, ValidationInfo

from ..contract.local_paths import readable, resolve

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_BYTES = 64 * 1024
"""More than a site's own: every machine is sent them, and some targets take no more than that in all."""

_LABEL = re.compile(rb"-----BEGIN ([^-\n]*)-----")


def _authorities(text: str, info: ValidationInfo) -> str:
    """What stands between the certificates, such as their description, is left out."""
    if not text:
        return text
    if "-----BEGIN" in text:
        return "".join(_certificates(text.encode(), ""))
    path = readable(resolve(Path(text), info))
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES // 1024} KiB; name a file with the site's own authorities alone")
    return "".join(_certificates(path.read_bytes(), f"{path} "))


def _certificates(data: bytes, name: str) -> Iterator[str]:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    _check_labels({label.decode(errors="replace") for label in _LABEL.findall(data)}, name)
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise ValueError(f"{name}holds a certificate that cannot be read") from error
    for certificate in found:
        _check_end(certificate, name)
        yield certificate.public_bytes(Encoding.PEM).decode("ascii")


def _check_labels(labels: set[str], name: str) -> None:
    if any("PRIVATE KEY" in label for label in labels):
        raise ValueError(f"{name}holds a private key, and goes to every machine; give certificates alone")
    if others := sorted(labels - {"CERTIFICATE"}):
        raise ValueError(f"{name}holds a {others[0].lower()}; give certificates alone")
    if not labels:
        raise ValueError(f"{name}is no PEM file of certificates (`openssl x509 -inform der` makes one of a DER file)")


def _check_end(certificate: Certificate, name: str) -> None:
    end = certificate.not_valid_after_utc
    if end < datetime.now(UTC):
        raise ValueError(f"{name}holds a certificate that ended on {end:%Y-%m-%d}: {certificate.subject.rfc4514_string()}")


Authorities = Annotated[str, AfterValidator(_authorities)]
"""Written as a local PEM file or as its text; read as PEM text. Empty: none."""
