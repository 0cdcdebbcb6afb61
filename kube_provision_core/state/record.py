"""What one number holds: all of a cluster's folder, and who wrote it. Encrypted, as age does."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyrage

from ..backup import Keys, Recipients
from ..contract.errors import ConfigError, FolderError
from ..folder.documents import IDENTITY
from ..folder.whoami import whoami

FORMAT = 1


class NotForUsError(FolderError):
    """Somebody else may open it."""


@dataclass(frozen=True)
class Record:
    cluster: str
    cluster_id: str
    number: int
    previous: str
    """SHA-256 of the object before it; empty: it is the first."""
    written: str
    """Such as `2026-11-29T08:30:00Z`, by the writer's clock."""
    by: str
    """Whom people can ask: a user and a host."""
    changed: tuple[str, ...]
    """Paths of files, or what else was done."""
    recipients: tuple[str, ...]
    """Who can open it."""
    files: Mapping[str, bytes] = field(repr=False)
    """By their paths in the cluster's folder; none: the cluster was destroyed."""


@dataclass(frozen=True)
class Numbered:
    """One that lies in a store."""

    record: Record
    sha256: str
    """Of the object."""


def successor(
    before: Numbered | None, cluster: str, files: Mapping[str, bytes], changed: Collection[str], recipients: Recipients
) -> Record:
    """The one after `before`, which this user writes now."""
    return Record(
        cluster=cluster,
        cluster_id=_identity(files) if files else before.record.cluster_id if before else "",
        number=before.record.number + 1 if before else 1,
        previous=before.sha256 if before else "",
        written=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        by=whoami(),
        changed=tuple(changed),
        recipients=recipients.names,
        files=files,
    )


def refuse_other_recipients(record: Record, recipients: Recipients, where: str) -> None:
    """Raise `FolderError` where one that is written now would be for others than the last one: some would lose it."""
    given, kept = (sorted({" ".join(name.split()[:2]) for name in names}) for names in (recipients.names, record.recipients))
    if given != kept:
        named = "1 is named" if len(given) == 1 else f"{len(given)} are named"
        raise FolderError(
            f"{where} is for {counted(kept)} ({', '.join(map(_short, kept))}), and {named} "
            f"({', '.join(map(_short, given))}): name the same, or change them by `kube-provision state rotate-recipients`"
        )


def counted(recipients: Sequence[str]) -> str:
    return "1 recipient" if len(recipients) == 1 else f"{len(recipients)} recipients"


def seal(record: Record, recipients: Recipients, keys: Keys) -> bytes:
    """Raises `ConfigError` where who writes it could not read it."""
    files = {path: b64encode(content).decode() for path, content in record.files.items()}
    document = {"format": FORMAT, **asdict(record), "files": files}
    content: bytes = pyrage.encrypt(json.dumps(document).encode(), recipients.keys)
    try:
        pyrage.decrypt(content, list(keys.identities))
    except pyrage.DecryptError as problem:
        raise ConfigError(
            "no identity in --state-identity-file opens what is written for these recipients: name your own one among them"
        ) from problem
    return content


def unseal(content: bytes, keys: Keys, where: str) -> Record:
    """Raises `FolderError` for what these keys do not open, and for what was cut or changed."""
    try:
        return _record(json.loads(pyrage.decrypt(content, list(keys.identities))), where)
    except pyrage.DecryptError as problem:
        if "no matching keys" in str(problem).lower():
            raise NotForUsError(f"{where}: it was written for others: --state-identity-file does not open it") from problem
        raise FolderError(f"{where} is not whole: it was cut, or changed since it was written") from problem
    except (ValueError, TypeError, KeyError) as problem:
        raise FolderError(f"{where} is no state that kube-provision has written") from problem


def _record(document: Mapping[str, Any], where: str) -> Record:
    if document["format"] > FORMAT:
        raise FolderError(f"{where} was written by a later version of kube-provision: use that one")
    return Record(
        cluster=str(document["cluster"]),
        cluster_id=str(document["cluster_id"]),
        number=int(document["number"]),
        previous=str(document["previous"]),
        written=str(document["written"]),
        by=str(document["by"]),
        changed=tuple(map(str, document["changed"])),
        recipients=tuple(map(str, document["recipients"])),
        files={str(path): b64decode(content) for path, content in document["files"].items()},
    )


def _identity(files: Mapping[str, bytes]) -> str:
    return str(json.loads(files[IDENTITY])["cluster_id"])


def _short(recipient: str) -> str:
    return recipient if len(recipient) < 16 else f"{recipient[:8]}…{recipient[-4:]}"
