"""The keys that API servers encrypt Secrets with before etcd keeps them, and how far they are on their way to the next one.

The next key is made with the one before, so that who plans a rotation knows it, and every backup holds it: whichever stage
a folder was read at, the keys in it open what API servers write until the stage after it has ended.
"""

from __future__ import annotations

import json
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ..contract.errors import FolderError

ENCRYPTION = "encryption.json"

KEY_BYTES = 32
"""Of secretbox: XSalsa20 with Poly1305."""


class Stage(StrEnum):
    """Which of the two keys API servers have. The order is Kubernetes' own:
    https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#rotating-a-decryption-key"""

    SETTLED = "settled"
    """The one alone."""
    READING = "reading"
    """The next one besides, so that each reads what another will write with it."""
    WRITING = "writing"
    """The next one first: what is written from now on is encrypted with it, and then all that was there before."""
    LEAVING = "leaving"
    """The next one alone. Once all have it, it is the one."""


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    """Stands before what is encrypted with it."""
    secret: str = field(repr=False)
    """Of `KEY_BYTES`, in base64."""


@dataclass(frozen=True, slots=True)
class Encryption:
    key: Key
    next: Key
    stage: Stage = Stage.SETTLED

    @property
    def keys(self) -> tuple[Key, ...]:
        """Those that an API server has, in their order: it writes with the first one."""
        return {
            Stage.SETTLED: (self.key,),
            Stage.READING: (self.key, self.next),
            Stage.WRITING: (self.next, self.key),
            Stage.LEAVING: (self.next,),
        }[self.stage]

    def at(self, stage: Stage) -> Encryption:
        """The same on its way. Settled, it has left the key of before behind, and has another one to come."""
        if stage is Stage.SETTLED:
            return Encryption(self.next, create_key())
        return replace(self, stage=stage)


def create_key() -> Key:
    return Key(f"key-{secrets.token_hex(4)}", b64encode(secrets.token_bytes(KEY_BYTES)).decode())


def create_encryption() -> Encryption:
    return Encryption(create_key(), create_key())


def encryption_document(encryption: Encryption) -> bytes:
    keys = [{"name": key.name, "secret": key.secret} for key in (encryption.key, encryption.next)]
    return json.dumps({"stage": encryption.stage.value, "keys": keys}, indent=2).encode() + b"\n"


def read_encryption(content: bytes, where: str) -> Encryption:
    """Raises `FolderError` for what is none."""
    try:
        document = json.loads(content)
        first, second = (Key(it["name"], it["secret"]) for it in document["keys"])
        stage = Stage(document["stage"])
        sound = first.name != second.name and all(map(_is_sound, (first, second)))
    except (ValueError, TypeError, LookupError) as problem:
        raise _damaged(where) from problem
    if not sound:
        raise _damaged(where)
    return Encryption(first, second, stage)


def _is_sound(key: Key) -> bool:
    return bool(key.name) and len(b64decode(key.secret, validate=True)) == KEY_BYTES


def _damaged(where: str) -> FolderError:
    return FolderError(f"{where}/{ENCRYPTION} is damaged: restore it from your backup")
