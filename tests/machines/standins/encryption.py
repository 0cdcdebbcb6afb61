"""`--encryption-provider-config`: how an API server keeps Secrets in etcd, as strictly read as upstream's.

What it writes begins as secretbox's does, by which upstream finds provider and key again. The cipher behind that is AES-GCM:
Debian's cryptography has no XSalsa20.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from machines.standins.etcd import EtcdError
from machines.standins.faults import StandInError

API = "apiserver.config.k8s.io/v1"
PREFIX = "k8s:enc:"
SECRETBOX = f"{PREFIX}secretbox:v1:"
_NONCE, _KEY = 12, 32


@dataclass(frozen=True)
class Plain:
    """Without such an argument."""

    def sealed(self, text: str) -> str:
        return text

    def opened(self, text: str) -> str:
        if text.startswith(PREFIX):
            raise EtcdError("Internal error occurred: identity transformer tried to read encrypted data")
        return text


@dataclass(frozen=True)
class Secretbox(Plain):
    keys: Mapping[str, bytes]
    """By their names; the first one writes."""

    def sealed(self, text: str) -> str:
        name, key = next(iter(self.keys.items()))
        nonce = os.urandom(_NONCE)
        return f"{SECRETBOX}{name}:{b64encode(nonce + AESGCM(key).encrypt(nonce, text.encode(), None)).decode()}"

    def opened(self, text: str) -> str:
        name, _, content = text.removeprefix(SECRETBOX).partition(":")
        if not text.startswith(SECRETBOX) or name not in self.keys:
            raise EtcdError("Internal error occurred: no matching prefix found")
        sealed = b64decode(content)
        try:
            return AESGCM(self.keys[name]).decrypt(sealed[:_NONCE], sealed[_NONCE:], None).decode()
        except InvalidTag as error:
            raise EtcdError("Internal error occurred: output array was not large enough for encryption") from error


def load(path: Path) -> Plain:
    """Raises `StandInError` for what upstream does not start with, and for a file that others may read."""
    try:
        mode, text = path.stat().st_mode & 0o777, path.read_text()
    except OSError as error:
        raise StandInError(f'error opening encryption provider configuration file "{path}": {error.strerror}') from error
    if mode & 0o077:
        raise StandInError(f"{path}: is {mode:04o}, and others may read the keys")
    try:
        return Secretbox(_keys(yaml.safe_load(text)))
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise StandInError(f'error while parsing encryption provider configuration file "{path}": {error}') from error


def _keys(document: Any) -> dict[str, bytes]:
    _only(document, "apiVersion", "kind", "resources")
    if (document["apiVersion"], document["kind"]) != (API, "EncryptionConfiguration"):
        raise ValueError(f"no kind {document['kind']!r} is registered for version {document['apiVersion']!r}")
    (resource,) = document["resources"]
    _only(resource, "resources", "providers")
    if resource["resources"] != ["secrets"]:
        raise ValueError("a lab encrypts Secrets alone")
    (provider,) = resource["providers"]
    _only(provider, "secretbox")
    _only(provider["secretbox"], "keys")
    found = [_key(it) for it in provider["secretbox"]["keys"]]
    if not found or len(dict(found)) < len(found):
        raise ValueError("secretbox.keys: Required value, each of a name of its own")
    return dict(found)


def _key(document: Any) -> tuple[str, bytes]:
    _only(document, "name", "secret")
    secret = b64decode(document["secret"], validate=True)
    if not document["name"] or len(secret) != _KEY:
        raise ValueError(f"secret: Invalid value: secret is not of the expected length, got {len(secret)}, expected {_KEY}")
    return str(document["name"]), secret


def _only(document: Any, *names: str) -> None:
    if set(document) != set(names):
        raise ValueError(f"strict decoding error: {sorted(set(document) ^ set(names))}")
