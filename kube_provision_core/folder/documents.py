"""The documents in a cluster's folder, read and checked. What is wrong is told with where the folder lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..contract.errors import FolderError
from .pki import PKI_FILES, Pki

FORMAT = 1
"""Version of the folder's layout; a folder of a later one is refused."""

IDENTITY, SECRETS = "cluster.json", "secrets.json"

Read = Callable[[str], bytes]
"""A file's content, by its path in the folder."""


@dataclass(frozen=True, slots=True)
class Values:
    """What `secrets.json` holds."""

    token: str = field(repr=False)
    certificate_key: str = field(repr=False)
    generated: Mapping[str, str] = field(repr=False)


def read_identity(read: Read, where: str, name: str) -> str:
    """The cluster's. Raises `FolderError` for another cluster's folder."""
    identity = _parsed(read(IDENTITY), f"{where}/{IDENTITY}", {"format": int, "name": str, "cluster_id": str})
    if identity["format"] > FORMAT:
        raise FolderError(f"{where} was written by a later version of kube-provision: use that one")
    if identity["name"] != name:
        raise FolderError(f"{where} holds the secrets of cluster {identity['name']}, not of {name}: rename it back")
    return str(identity["cluster_id"])


def read_values(read: Read, where: str) -> Values:
    shape = {"token": str, "certificate_key": str, "generated": dict}
    found = _parsed(read(SECRETS), f"{where}/{SECRETS}", shape)
    generated = {key: str(value) for key, value in found["generated"].items()}
    return Values(found["token"], found["certificate_key"], generated)


def read_pki(read: Read, where: str) -> Pki:
    pki = Pki({file: read(f"pki/{file}") for file in PKI_FILES})
    if damaged := pki.damaged():
        files = ", ".join(f"{where}/pki/{file}" for file in damaged)
        raise FolderError(f"damaged or not made for each other: {files}; restore the folder from your backup")
    return pki


def identity_document(name: str, cluster_id: str) -> bytes:
    return _document({"format": FORMAT, "name": name, "cluster_id": cluster_id})


def values_document(token: str, certificate_key: str, generated: Mapping[str, str]) -> bytes:
    return _document({"token": token, "certificate_key": certificate_key, "generated": dict(generated)})


def initialised_document() -> bytes:
    """The mark of now."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode()


def _parsed(content: bytes, where: str, shape: Mapping[str, type]) -> dict[str, Any]:
    try:
        document = json.loads(content)
        sound = all(isinstance(document[key], kind) for key, kind in shape.items())
    except (ValueError, TypeError, KeyError) as problem:
        raise FolderError(f"{where} is damaged: restore it from your backup") from problem
    if not sound:
        raise FolderError(f"{where} is damaged: restore it from your backup")
    return dict(document)


def _document(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, indent=2).encode() + b"\n"
