"""All secrets of a Consul that is provisioned, of one seed in the cluster's folder.

Nothing is kept for each machine, and a machine that is made anew is who it was. What one machine gets tells nothing of
another's: each is a keyed digest (HMAC-SHA256) of what it is for.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .node.rights import management, token

_BYTES = 32
_LIFETIME = timedelta(days=3650)
"""As long as the cluster's own authorities."""
_BACKDATED = timedelta(minutes=5)
"""For machines whose clocks are behind ours."""


def new_seed() -> str:
    return secrets.token_hex(_BYTES)


@dataclass(frozen=True)
class Certificate:
    """For TLS, all of it DER in hexadecimal, which is short once it is packed. `authority` is what verifies the others'."""

    authority: str
    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Seed:
    """Derives; the same of the same seed, whenever and wherever."""

    text: str = field(repr=False)

    @property
    def of_tokens(self) -> str:
        """The seed of all tokens, which the server gets as well: it has to know them, and no key but its own."""
        return self._digest("tokens").hex()

    def token(self, name: str) -> str:
        """That of the machine of this name."""
        return token(self.of_tokens, name).secret

    @property
    def management(self) -> str:
        """The token that may do everything: the operator's, and the server's own."""
        return management(self.of_tokens)

    def mark(self, name: str) -> str:
        """What the machine of this name shows to everybody: nobody else can say of it that it has its token."""
        return self._digest(f"mark {name}").hex()[:16]

    def certificate(self, name: str, *, server: bool) -> Certificate:
        """One for the machine that bears `name`, which others may only take for a server's if it is one.

        It says no more than somebody looks at: boot data is short of room.
        """
        authority, subject = self._key("authority"), self._key(f"machine {name}")
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if server else [])]
        builder = (
            _builder(name, subject)
            .issuer_name(self._issuer)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier(self._key_name, None, None), critical=False)
        )
        if server:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        signed = builder.sign(authority, None).public_bytes(Encoding.DER)
        key = subject.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return Certificate(self.authority, _text(signed), _text(key))

    @property
    def authority(self) -> str:
        """The certificate of the authority: another text each time, and always the same authority."""
        key = self._key("authority")
        others = (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        )
        usage = x509.KeyUsage(digital_signature=False, key_cert_sign=True, crl_sign=False, **dict.fromkeys(others, False))
        signed = (
            _builder(self._common_name, key)
            .issuer_name(self._issuer)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier(self._key_name), critical=False)
            .sign(key, None)
        )
        return _text(signed.public_bytes(Encoding.DER))

    @property
    def _common_name(self) -> str:
        """Another one for each seed: whoever knows several authorities finds the right one by its name."""
        return f"consul {self._key_name.hex()}"

    @property
    def _key_name(self) -> bytes:
        return self._digest("name")[:4]

    @property
    def _issuer(self) -> x509.Name:
        return _name(self._common_name)

    def _key(self, what: str) -> Ed25519PrivateKey:
        """Of this kind since any 32 bytes are a key, and certificates are short."""
        return Ed25519PrivateKey.from_private_bytes(self._digest(f"key {what}"))

    def _digest(self, what: str) -> bytes:
        return hmac.digest(self.text.encode(), f"kube-provision consul {what}".encode(), hashlib.sha256)


def _builder(name: str, key: Ed25519PrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(secrets.randbits(63) + 1)
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _text(der: bytes) -> str:
    return der.hex()
