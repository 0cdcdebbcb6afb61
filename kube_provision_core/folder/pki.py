"""What a cluster's identity rests on: its certificate authorities, the key of its service accounts, its join secrets.

All of it is made here, before the first machine exists, so that no machine has to wait for another one to make it.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from .x509 import KeyPair, create_authority, create_signing_key, load_key, private_number, public_pem, sign_client, sign_user

if TYPE_CHECKING:
    from .encryption import Encryption

ADMINISTRATORS = "kubeadm:cluster-admins"
"""The group that `kubeadm init` binds to cluster-admin. Unlike `system:masters` it can be revoked by deleting the binding,
and nothing that we ask of a cluster needs more."""

AUTHORITIES = {"ca": "kubernetes", "etcd/ca": "etcd-ca", "front-proxy-ca": "front-proxy-ca"}
"""Common names of the certificate authorities, by their path without suffix: kubeadm's own names."""

PKI_FILES = (
    "ca.crt",
    "ca.key",
    "etcd/ca.crt",
    "etcd/ca.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "sa.key",
    "sa.pub",
)
"""What kubeadm takes from outside, by path below /etc/kubernetes/pki; everything else it makes itself on each master."""


@dataclass(frozen=True, slots=True)
class Pki:
    """The cluster's certificate authorities and its service-account key, PEM by path below /etc/kubernetes/pki."""

    files: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if set(self.files) != set(PKI_FILES):
            raise ValueError(f"a PKI has exactly these files: {', '.join(PKI_FILES)}")
        object.__setattr__(self, "files", MappingProxyType(dict(self.files)))

    @property
    def ca(self) -> bytes:
        """The certificate that every client of the API server trusts."""
        return self.files["ca.crt"]

    @property
    def etcd_ca(self) -> bytes:
        return self.files["etcd/ca.crt"]

    @property
    def ca_pin(self) -> str:
        """What a joining node pins: `sha256:` and the hex digest of the authority's public key."""
        return _pin(self.ca)

    def authority(self, path: str) -> KeyPair:
        """One of `AUTHORITIES`, by its path."""
        return KeyPair(self.files[f"{path}.crt"], self.files[f"{path}.key"])

    def administrator(self, common_name: str, lifetime: timedelta, now: datetime | None = None) -> KeyPair:
        """A client certificate for the API server that may do everything; see `ADMINISTRATORS`."""
        return self.user(common_name, (ADMINISTRATORS,), lifetime, now)

    def user(self, common_name: str, groups: Sequence[str], lifetime: timedelta, now: datetime | None = None) -> KeyPair:
        """A client certificate for the API server that may do what the cluster lets this user and these groups do."""
        return sign_user(self.authority("ca"), common_name, groups, lifetime, now)

    def etcd_client(self, common_name: str, lifetime: timedelta) -> KeyPair:
        """A client certificate for the cluster's etcd, which lets in whoever its authority has signed."""
        return sign_client(self.authority("etcd/ca"), common_name, None, lifetime)

    def machine_key(self, cluster_id: str, name: str, instance: str) -> str:
        """What this machine and whoever holds the authority's key know, and nobody else: 32 bytes as hex digits.

        It is derived, so that nothing has to be kept for a machine, and nothing can be lost.
        """
        info = "\n".join(("kube-provision machine", cluster_id, name, instance)).encode()
        return HKDF(hashes.SHA256(), length=32, salt=None, info=info).derive(_number(self.files["ca.key"])).hex()

    def damaged(self) -> tuple[str, ...]:
        """The files that are no certificate or key, or that do not belong to their key; empty when all is well."""
        return tuple(path for stem in (*AUTHORITIES, "sa") for path in self._damaged_pair(stem))

    def _damaged_pair(self, stem: str) -> tuple[str, ...]:
        private, public = f"{stem}.key", f"{stem}.pub" if stem == "sa" else f"{stem}.crt"
        try:
            expected = _public_of(self.files[private])
        except (ValueError, UnsupportedAlgorithm):
            return (private,)
        try:
            found = _public_key(self.files[public])
        except (ValueError, UnsupportedAlgorithm):
            return (public,)
        return () if found == expected else (private, public)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What an etcd held once, as it will be brought to the machine that begins with it."""

    size: int
    """In bytes."""
    sha256: str
    """In hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class JoinSecrets:
    """What machines need to become part of the cluster.

    Only a machine that may initialise it is given the keys of `pki`; only masters are given the certificate key, and the
    keys of `encryption`.
    """

    pki: Pki = field(repr=False)
    token: str = field(repr=False)
    certificate_key: str = field(repr=False)
    snapshot: Snapshot | None = None
    """What the machine that initialises the cluster begins with; None: a new cluster begins with nothing."""
    encryption: Encryption | None = field(default=None, repr=False)
    """What API servers encrypt Secrets with; None: they do not."""


@lru_cache(maxsize=16)
def _pin(certificate: bytes) -> str:
    """Asked for once more by every machine's boot data."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    return "sha256:" + hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


@lru_cache(maxsize=16)
def _number(private: bytes) -> bytes:
    """As `_pin`."""
    return private_number(load_key(private))


def create_pki(cluster_name: str, now: datetime | None = None) -> Pki:
    """New authorities for a new cluster. `now` is for tests."""
    files: dict[str, bytes] = {}
    for path, common_name in AUTHORITIES.items():
        pair = create_authority(common_name, cluster_name, now)
        files |= {f"{path}.crt": pair.certificate, f"{path}.key": pair.key}
    files["sa.key"], files["sa.pub"] = create_signing_key()
    return Pki(files)


def create_token() -> str:
    """A bootstrap token: six and sixteen characters; the first six are public."""
    alphabet = string.ascii_lowercase + string.digits
    return ".".join("".join(secrets.choice(alphabet) for _ in range(length)) for length in (6, 16))


def create_certificate_key() -> str:
    """The key under which kubeadm's uploaded certificates are encrypted: 32 bytes as hex digits."""
    return secrets.token_hex(32)


@lru_cache(maxsize=16)
def _public_of(private: bytes) -> bytes:
    """The public key of a private one, PEM as we write it."""
    return public_pem(load_key(private).public_key())


def _public_key(pem: bytes) -> bytes:
    """The public key of a certificate, or a public key itself, PEM as we write it."""
    holder = x509.load_pem_x509_certificate(pem).public_key() if b"CERTIFICATE" in pem else load_pem_public_key(pem)
    return holder.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
