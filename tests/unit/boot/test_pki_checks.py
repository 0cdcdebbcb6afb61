"""Authorities that kubeadm would refuse, or silently make anew, are refused before the first clone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from kube_provision_core import BootError
from kube_provision_core.boot.pki_checks import check_pki
from kube_provision_core.folder.pki import JoinSecrets, Pki

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def authority(key: Key, *, ca: bool | None = True, age: timedelta = timedelta()) -> dict[str, bytes]:
    """The front proxy's authority made otherwise."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    begin = datetime.now(UTC) - timedelta(minutes=5) - age
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=1))
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    certificate = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256())
    return {
        "front-proxy-ca.crt": certificate.public_bytes(Encoding.PEM),
        "front-proxy-ca.key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }


def check_with(secrets: JoinSecrets, changed: dict[str, bytes]) -> None:
    check_pki(Pki({**secrets.pki.files, **changed}))


def test_ours_pass(secrets: JoinSecrets) -> None:
    check_pki(secrets.pki)


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)])
def test_other_accepted_kinds_of_keys_pass(secrets: JoinSecrets, key: Key) -> None:
    check_with(secrets, authority(key))


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP521R1())])
def test_keys_that_kubeadm_does_not_take_are_refused(secrets: JoinSecrets, key: Key) -> None:
    with pytest.raises(BootError, match=r"front-proxy-ca\.crt: kubeadm takes RSA"):
        check_with(secrets, authority(key))


@pytest.mark.parametrize("ca", [None, False])
def test_a_certificate_of_no_authority_is_refused(secrets: JoinSecrets, ca: bool | None) -> None:
    with pytest.raises(BootError, match="is no certificate of an authority"):
        check_with(secrets, authority(ec.generate_private_key(ec.SECP256R1()), ca=ca))


@pytest.mark.parametrize("age", [timedelta(days=2), timedelta(days=-1)])
def test_an_authority_out_of_its_time_is_refused(secrets: JoinSecrets, age: timedelta) -> None:
    with pytest.raises(BootError, match="not now"):
        check_with(secrets, authority(ec.generate_private_key(ec.SECP256R1()), age=age))
