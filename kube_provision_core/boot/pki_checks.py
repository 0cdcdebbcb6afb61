"""Checks of the certificate authorities that a machine is given, since kubeadm makes anew what it finds wanting."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ..contract.errors import BootError
from ..folder.pki import AUTHORITIES, Pki


def check_pki(pki: Pki) -> None:
    """Raise `BootError` unless the authorities are such as kubeadm takes. Whoever reads them sees whether they are whole."""
    faults = [fault for stem in AUTHORITIES for fault in _authority_faults(f"{stem}.crt", pki.files[f"{stem}.crt"])]
    if faults:
        raise BootError("\n".join(f"the cluster's authorities: {fault}" for fault in faults))


def _authority_faults(path: str, pem: bytes) -> Iterator[str]:
    certificate = x509.load_pem_x509_certificate(pem)
    if not _is_authority(certificate):
        yield f"{path} is no certificate of an authority (BasicConstraints)"
    if not certificate.not_valid_before_utc <= datetime.now(UTC) < certificate.not_valid_after_utc:
        yield f"{path} is valid from {certificate.not_valid_before_utc} to {certificate.not_valid_after_utc}, not now"
    if not _is_accepted(certificate.public_key()):
        yield f"{path}: kubeadm takes RSA of at least 2048 bits, P-256 or P-384 keys only"


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _is_accepted(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= 2048
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1")
