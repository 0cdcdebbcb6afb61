"""A folder that was lost, made anew from what every master holds: its authorities, and what it knows of itself."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from ..contract.errors import ConfigError, FolderError
from .documents import IDENTITY, SECRETS, identity_document, initialised_document, values_document
from .encryption import ENCRYPTION, Encryption, Key, Stage, create_key, encryption_document, read_encryption
from .on_disk import state_of
from .pki import PKI_FILES, create_certificate_key, create_token
from .state import State
from .store import Folder

_PKI, _NODE, _KEYS = "etc/kubernetes/pki", "etc/kube-provision/node.json", "etc/kubernetes/api-server/encryption.yaml"
"""Below the root of a master. The last is there where Secrets are encrypted."""

HOW = f"(umask 077; sudo tar -C / --ignore-failed-read -cz etc/kubernetes/{{pki,api-server}} {_NODE} >pki.tgz)"
"""Makes one, on a master, that nobody else there can read. Of a folder that is not there tar warns."""

_LARGEST = 1024 * 1024
"""Bytes of a file in it: some thousands."""


def rebuild(state: State | Path, name: str, archive: Path, generated: Mapping[str, str]) -> Folder:
    """Write the folder of a cluster that lives, where there is none. `generated`: values that were made for drivers.

    Raises `ConfigError` for an archive that is none of a master of this cluster, `FolderError` where there is a folder.
    Nothing of the archive is written anywhere else. The first token and certificate key, which are history and on no machine
    any more, are new ones: boot data is checked with them before a run mints its own.
    """
    held = _held(archive)
    node = _node(held[_NODE], archive, name)
    files = {f"pki/{file}": held[f"{_PKI}/{file}"] for file in PKI_FILES}
    files[IDENTITY] = identity_document(name, node["cluster_id"])
    files[SECRETS] = values_document(create_token(), create_certificate_key(), generated)
    if _KEYS in held:
        files[ENCRYPTION] = encryption_document(_encryption(held[_KEYS], archive))
    with Folder.lock(state, name):
        found = state_of(state).files(name)
        if found.exists():
            raise FolderError(f"{found.where} is there already: nothing was changed")
        folder = Folder.backed_up(state, name, files)
        if folder.pki.ca_pin != node["ca_pin"]:
            raise ConfigError(f"{archive}: the authority in it is another one than the machine's own: {HOW}")
        found.create({**files, "initialised": initialised_document()})  # in one step: it has long begun
    return folder


def read_values(path: Path | None) -> Mapping[str, str]:
    """Values that were made for drivers, by their keys, of a document. Raises `ConfigError`, which shows none."""
    if path is None:
        return {}
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise ConfigError(f"{path} cannot be read as YAML") from problem
    if not isinstance(document, dict) or not all(isinstance(it, str) for pair in document.items() for it in pair):
        raise ConfigError(f"{path}: keys with texts are meant, such as `KEY: TEXT`")
    return document


def _held(archive: Path) -> Mapping[str, bytes]:
    wanted = {_NODE, *(f"{_PKI}/{file}" for file in PKI_FILES)}
    try:
        with tarfile.open(archive) as tar:
            held = dict(_content(tar, member) for member in tar if _path(member) in {*wanted, _KEYS})
    except OSError as problem:
        raise ConfigError(f"{archive} cannot be read: {problem.strerror or problem}") from problem
    except (tarfile.TarError, EOFError) as problem:
        raise ConfigError(f"{archive} is no whole archive of tar's: make it on a master by: {HOW}") from problem
    if missing := sorted(wanted - held.keys()):
        raise ConfigError(f"{archive} lacks {', '.join(missing)}: make it on a master by: {HOW}")
    return held


def _encryption(content: bytes, archive: Path) -> Encryption:
    """Of two keys, as in the middle of a rotation, the second is taken for the next one: what both open stays readable,
    whichever it was, and a rotation ends with one of them."""
    try:
        (resource,) = yaml.safe_load(content)["resources"]
        (provider,) = resource["providers"]
        first, *more = [Key(str(it["name"]), str(it["secret"])) for it in provider["secretbox"]["keys"]]
        found = Encryption(first, more[0], Stage.READING) if more else Encryption(first, create_key())
        return read_encryption(encryption_document(found), str(archive))
    except (yaml.YAMLError, ValueError, TypeError, LookupError, FolderError) as problem:
        raise ConfigError(f"{archive}: {_KEYS} in it is none that kube-provision has written") from problem


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[str, bytes]:
    file = tar.extractfile(member) if member.isfile() and member.size <= _LARGEST else None
    if file is None:
        raise ConfigError(f"{member.name} in the archive is no file of keys: make it on a master by: {HOW}")
    return _path(member), file.read()


def _path(member: tarfile.TarInfo) -> str:
    return str(PurePosixPath(member.name.lstrip("/")))


def _node(content: bytes, archive: Path, name: str) -> dict[str, Any]:
    try:
        node = json.loads(content)
        cluster, _ = str(node["cluster"]), (node["cluster_id"], node["ca_pin"])
    except (ValueError, TypeError, KeyError) as problem:
        raise ConfigError(f"{archive}: {_NODE} in it is damaged, or of no machine of kube-provision's") from problem
    if cluster != name:
        raise ConfigError(f"{archive} is of a machine of cluster {cluster}, not of {name}")
    return dict(node)
