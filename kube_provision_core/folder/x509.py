"""X.509 as Kubernetes uses it: keys, certificate authorities and the certificates that they sign.

Authorities are P-256: kubeadm reads them, making one takes well under a millisecond, and boot data that carries one stays
small. Keys are written in the formats that kubeadm itself writes (`EC PRIVATE KEY`, `RSA PRIVATE KEY`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATED = timedelta(minutes=5)
"""Certificates begin in the past, for machines whose clocks are behind ours."""

AUTHORITY_LIFETIME = timedelta(days=3650)
"""kubeadm's own: ten years."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def create_authority(common_name: str, organization: str, now: datetime | None = None) -> KeyPair:
    """A self-signed certificate authority. `organization` tells apart clusters whose authorities share a common name."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name, organization)
    begin = _begin(now)
    certificate = (
        _builder(name, key.public_key(), begin, begin + BACKDATED + AUTHORITY_LIFETIME)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(certificate.public_bytes(Encoding.PEM), _private_pem(key))


def sign_client(
    authority: KeyPair, common_name: str, organization: str | None, lifetime: timedelta, now: datetime | None = None
) -> KeyPair:
    """A client certificate. The API server takes `common_name` for the user and `organization` for the group."""
    return sign_user(authority, common_name, () if organization is None else (organization,), lifetime, now)


def sign_user(
    authority: KeyPair, common_name: str, groups: Sequence[str], lifetime: timedelta, now: datetime | None
) -> KeyPair:
    """A client certificate of somebody in any number of groups."""
    return _sign(authority, _name(common_name, *groups), lifetime, [ExtendedKeyUsageOID.CLIENT_AUTH], (), now)


def sign_server(authority: KeyPair, common_name: str, hosts: Iterable[str], lifetime: timedelta) -> KeyPair:
    """A server certificate for `hosts` (names and addresses), usable as a client's too: etcd's peers are both."""
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return _sign(authority, _name(common_name), lifetime, usages, hosts, None)


def sign_signer(authority: KeyPair, common_name: str, lifetime: timedelta, now: datetime | None) -> KeyPair:
    """A certificate whose key signs what machines run. Nothing that a cluster issues by itself is good for that."""
    return _sign(authority, _name(common_name), lifetime, [ExtendedKeyUsageOID.CODE_SIGNING], (), now)


def create_signing_key() -> tuple[bytes, bytes]:
    """A private and a public key for service-account tokens, both PEM.

    RSA, as kubeadm makes it: whoever verifies such a token outside of the cluster may know RS256 only.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return _private_pem(key), public_pem(key.public_key())


def public_pem(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """Raises ValueError for anything but an unencrypted elliptic-curve or RSA key whose numbers belong together."""
    try:
        key = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    except TypeError as problem:
        raise ValueError("the key is encrypted") from problem
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError(f"a {type(key).__name__} is of no use to kubeadm")
    if isinstance(key, rsa.RSAPrivateKey) and not _belong_together(key.private_numbers()):
        raise ValueError("the numbers of the key do not belong together")
    return key


def _belong_together(numbers: rsa.RSAPrivateNumbers) -> bool:
    """Whether they fit each other. Proving that the factors are primes, too, would take 30 ms of every run: a number that
    was changed shows without."""
    p, q, d, public = numbers.p, numbers.q, numbers.d, numbers.public_numbers
    return (
        min(p, q, public.e) > 1
        and p * q == public.n
        and d < public.n
        and all(d * public.e % (prime - 1) == 1 for prime in (p, q))
        and (numbers.dmp1, numbers.dmq1) == (d % (p - 1), d % (q - 1))
        and numbers.iqmp < p
        and numbers.iqmp * q % p == 1
    )


def private_number(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """What a key is, in whatever format its file is written."""
    number = key.private_numbers().private_value if isinstance(key, ec.EllipticCurvePrivateKey) else key.private_numbers().d
    return number.to_bytes((key.key_size + 7) // 8, "big")


def _sign(
    authority: KeyPair,
    subject: x509.Name,
    lifetime: timedelta,
    usages: list[x509.ObjectIdentifier],
    hosts: Iterable[str],
    now: datetime | None,
) -> KeyPair:
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    begin = _begin(now)
    end = min(begin + BACKDATED + lifetime, issuer.not_valid_after_utc)
    builder = (
        _builder(subject, key.public_key(), max(begin, issuer.not_valid_before_utc), end)
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(_authority_key_identifier(issuer), critical=False)
    )
    alternatives = [_general_name(host) for host in hosts]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate = builder.sign(load_key(authority.key), hashes.SHA256())
    return KeyPair(certificate.public_bytes(Encoding.PEM), _private_pem(key))


def _builder(subject: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _begin(now: datetime | None) -> datetime:
    return (now or datetime.now(UTC)).replace(microsecond=0) - BACKDATED


def _name(common_name: str, *organizations: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
