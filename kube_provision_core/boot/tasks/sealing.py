"""Sealing a task, so that whoever carries it, or sees it on its way, can neither read nor change it, nor send another.

Encrypted first, then signed: a machine decrypts nothing that is not the cluster's. The ciphertext is what `openssl enc
-aes-256-ctr -pbkdf2` writes, the signature a CMS message, so that a machine needs no more than the program `openssl`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding

from ...contract.machines import Stamp
from ...folder.pki import Pki
from ...folder.x509 import load_key, sign_signer
from .task import VERSION, Task

SIGNER = "kube-provision"
_SIGNER_LIFETIME = timedelta(days=1)
EARLY, LATE = 300.0, 3600.0
"""Seconds around now in which a machine may begin, by its own clock."""
_SALTED, _SALT = b"Salted__", 8
"""How `openssl enc` begins, and bytes of salt after that."""
_ITERATIONS = 10_000
"""Those of `openssl enc`; what is derived from is no password, and as strong as the key itself."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A task for one machine, as it travels."""

    id: str
    """Of this giving: a machine does each once."""
    content: bytes = field(repr=False)
    key: str = field(repr=False)
    """The machine's; its answer is checked with it."""


def seal(task: Task, name: str, stamp: Stamp, pki: Pki) -> Sealed:
    """For the machine of this name and stamp, from now on and for an hour."""
    key = pki.machine_key(stamp.cluster_id, name, stamp.instance)
    now, id_ = time.time(), secrets.token_hex(8)
    window = {"begin": now - EARLY, "end": now + LATE}
    document = {"version": VERSION, "id": id_, "verb": task.verb, "cluster_id": stamp.cluster_id, "machine": name}
    text = json.dumps({**document, **window, **task.content}).encode()
    return Sealed(id_, _signed(_encrypted(zlib.compress(text, 9), derive(key, "task")), pki), key)


def derive(key: str, purpose: str) -> str:
    """A key for one purpose, made from a machine's: 32 bytes as hex digits. `kube_provision_node.sealed` does the same."""
    return hmac.new(bytes.fromhex(key), purpose.encode(), hashlib.sha256).hexdigest()


def decrypted(sealed: bytes, key: str) -> bytes:
    """What `openssl enc` has encrypted. Raises `ValueError` for what it has not; with another key noise comes out."""
    if not sealed.startswith(_SALTED) or len(sealed) < len(_SALTED) + _SALT:
        raise ValueError("it is not what openssl writes")
    salt, content = sealed[len(_SALTED) :][:_SALT], sealed[len(_SALTED) + _SALT :]
    decryptor = _cipher(key, salt).decryptor()
    return decryptor.update(content) + decryptor.finalize()


def _encrypted(content: bytes, key: str) -> bytes:
    salt = os.urandom(_SALT)
    encryptor = _cipher(key, salt).encryptor()
    return _SALTED + salt + encryptor.update(content) + encryptor.finalize()


def _cipher(key: str, salt: bytes) -> Cipher[modes.CTR]:
    derived = hashlib.pbkdf2_hmac("sha256", key.encode(), salt, _ITERATIONS, 48)
    return Cipher(algorithms.AES(derived[:32]), modes.CTR(derived[32:]))


def _signed(content: bytes, pki: Pki) -> bytes:
    """Imported here: it loads what reads mail, and only who gives a task has a use for that."""
    from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

    pair = sign_signer(pki.authority("ca"), SIGNER, _SIGNER_LIFETIME, datetime.now(UTC))
    certificate, key = x509.load_pem_x509_certificate(pair.certificate), load_key(pair.key)
    builder = PKCS7SignatureBuilder().set_data(content).add_signer(certificate, key, hashes.SHA256())
    return builder.sign(Encoding.DER, [PKCS7Options.Binary, PKCS7Options.NoCapabilities])
