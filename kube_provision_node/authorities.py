"""The certificate authorities that one master is given: checked, put where kubeadm looks for them, and forgotten."""

from __future__ import annotations

import hashlib
import shutil
import ssl
from pathlib import Path

from .kept_files import replace_file

FILES = (
    "ca.crt",
    "ca.key",
    "sa.key",
    "sa.pub",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "etcd/ca.crt",
    "etcd/ca.key",
)
"""Exactly these: kubeadm makes a missing one anew without a word, and the masters then differ."""


class UnfitError(Exception):
    """The delivered authorities are incomplete, or not those that the cluster's nodes pin."""


def delivered(folder: Path) -> bool:
    return folder.is_dir()


def install(folder: Path, pki: Path, pin: str) -> None:
    """Copy the authorities from `folder` to `pki`, after checking that they are whole and match `pin`.

    Done before every attempt, since `kubeadm reset` empties `pki`. Raises `UnfitError` or `OSError`.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UnfitError(f"certificate authorities are incomplete: {folder} lacks {', '.join(missing)}")
    found = pin_of((folder / "ca.crt").read_text())
    if found != pin:
        raise UnfitError(f"the certificate authority in {folder} is {found}, but this cluster's is {pin}")
    for name in FILES:
        replace_file(pki / name, (folder / name).read_bytes(), 0o600 if name.endswith(".key") else 0o644)


def forget(folder: Path) -> None:
    """Delete the delivered authorities. Idempotent."""
    if folder.exists():
        shutil.rmtree(folder)


def pin_of(certificate: str) -> str:
    """kubeadm's pin of a PEM certificate: the SHA-256 of its SubjectPublicKeyInfo. Raises `UnfitError`."""
    try:
        der = ssl.PEM_cert_to_DER_cert(certificate)
        return "sha256:" + hashlib.sha256(_subject_public_key_info(der)).hexdigest()
    except (ValueError, IndexError) as problem:
        raise UnfitError(f"the certificate authority is no certificate: {problem}") from problem


def _subject_public_key_info(der: bytes) -> bytes:
    """RFC 5280: Certificate → tbsCertificate → [version], serial, signature, issuer, validity, subject, *this*."""
    certificate, _ = _content(der, 0)
    to_be_signed, _ = _content(der, certificate)
    position = to_be_signed
    if der[position] == 0xA0:  # the version is optional
        position = _content(der, position)[1]
    for _field in ("serial", "signature", "issuer", "validity", "subject"):
        position = _content(der, position)[1]
    return der[position : _content(der, position)[1]]


def _content(der: bytes, position: int) -> tuple[int, int]:
    """Where the content of the element at `position` begins and where it ends."""
    length, start = der[position + 1], position + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(der[start : start + count], "big"), start + count
    if start + length > len(der):
        raise ValueError("it is cut short")
    return start, start + length
