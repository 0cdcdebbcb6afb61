"""A site's own certificate authorities: a PEM file or its text → certificates alone, each of them still valid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from ..contract.certificates import valid_certificates
from ..contract.local_paths import readable, resolve

MAX_BYTES = 64 * 1024
"""More than a site's own: every machine is sent them, and some targets take no more than that in all."""

_LABEL = re.compile(rb"-----BEGIN ([^-\n]*)-----")


def _authorities(text: str, info: ValidationInfo) -> str:
    """What stands between the certificates, such as their description, is left out."""
    if not text:
        return text
    if "-----BEGIN" in text:
        return "".join(_certificates(text.encode()))
    path = readable(resolve(Path(text), info))
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES // 1024} KiB; name a file with the site's own authorities alone")
    return "".join(_certificates(path.read_bytes(), str(path)))


def _certificates(data: bytes, name: str = "") -> Iterator[str]:
    from cryptography.hazmat.primitives.serialization import Encoding

    _check_labels({label.decode(errors="replace") for label in _LABEL.findall(data)}, f"{name} " if name else "")
    for certificate in valid_certificates(data, name):
        yield certificate.public_bytes(Encoding.PEM).decode("ascii")


def _check_labels(labels: set[str], name: str) -> None:
    if any("PRIVATE KEY" in label for label in labels):
        raise ValueError(f"{name}holds a private key, and goes to every machine; give certificates alone")
    if others := sorted(labels - {"CERTIFICATE"}):
        raise ValueError(f"{name}holds a {others[0].lower()}; give certificates alone")


Authorities = Annotated[str, AfterValidator(_authorities)]
"""Written as a local PEM file or as its text; read as PEM text. Empty: none."""
