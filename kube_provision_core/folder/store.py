"""The cluster's folder of secrets: the only thing that is kept between runs.

cluster.json     name and identity
secrets.json     first token, certificate key, values that drivers had made
pki/…            certificate authorities and service-account key
encryption.json  keys of Secrets at rest, see `encryption`; missing where they are not encrypted
initialised      exists once the cluster was observed to be initialised
carrier          the only machine that may ever initialise it, where no discovery service keeps a record of that: its name
restoring        while it is restored: the digest of the snapshot that what exists of it begins with; before that, while what
                 was left of it is destroyed, with the word `abandoning`. With the word `masters` where they alone are
                 restored, and workers are those of before
known_hosts      host keys that machines have told, no secrets; may be missing
history.jsonl    who has done what, see `history`; missing in a folder that no run has changed anything with so far
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from ..contract.errors import FolderError
from ..contract.kept_files import replace_file, telling_os_errors
from ..contract.machines import Endpoint
from .documents import (
    IDENTITY,
    SECRETS,
    Read,
    identity_document,
    initialised_document,
    read_identity,
    read_pki,
    read_values,
    values_document,
)
from .encryption import ENCRYPTION, Encryption, Stage, create_encryption, encryption_document, read_encryption
from .history import History
from .kubeconfig import render_kubeconfig
from .on_disk import made_meanwhile, state_of
from .pki import JoinSecrets, Pki, create_certificate_key, create_pki, create_token
from .state import KNOWN_HOSTS, Files, State

_ABANDONING, _MASTERS = "abandoning", "masters"

Makers = Mapping[str, Callable[[], str]]
"""Name of a value → how to make it."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One cluster's folder, read and checked. Change it only while holding its lock."""

    files: Files = field(repr=False)
    name: str
    cluster_id: str
    pki: Pki = field(repr=False)
    token: str = field(repr=False)
    certificate_key: str = field(repr=False)
    generated: Mapping[str, str] = field(repr=False)
    """Values made once for drivers, by field name."""
    encryption: Encryption | None = field(default=None, repr=False)
    """With what API servers encrypt Secrets; None: they do not."""

    @staticmethod
    def lock(state: State | Path, name: str, *, briefly: bool = False) -> AbstractContextManager[None]:
        """Let no other run of this host act on this cluster, nor create its folder, meanwhile.

        `briefly`: others wait for its end. Raises BusyError that names the other run.
        """
        return state_of(state).lock(name, briefly=briefly)

    @classmethod
    def open(cls, state: State | Path, name: str) -> Folder | None:
        """The cluster's folder, None if there is none. Raises FolderError if it is damaged or open to others."""
        files = state_of(state).files(name)
        if not files.exists():
            return None
        files.check()
        return cls._of(files, name, files.read, files.has)

    @classmethod
    def backed_up(cls, state: State | Path, name: str, files: Mapping[str, bytes]) -> Folder:
        """The one that was kept as `files`, by their paths in it: in memory until it is saved.

        Raises FolderError if it is damaged, or that of a cluster of another name.
        """

        def read(file: str) -> bytes:
            if file not in files:
                raise FolderError(f"the backup of the folder lacks {file}: it was not made by kube-provision")
            return files[file]

        return cls._of(state_of(state).files(name), name, read, files.__contains__)

    @classmethod
    def _of(cls, files: Files, name: str, read: Read, has: Callable[[str], bool]) -> Folder:
        cluster_id, values = read_identity(read, files.where, name), read_values(read, files.where)
        return cls(
            files=files,
            name=name,
            cluster_id=cluster_id,
            pki=read_pki(read, files.where),
            token=values.token,
            certificate_key=values.certificate_key,
            generated=MappingProxyType(values.generated),
            encryption=read_encryption(read(ENCRYPTION), files.where) if has(ENCRYPTION) else None,
        )

    @classmethod
    def draft(cls, state: State | Path, name: str, makers: Makers, *, encrypts: bool = False) -> Folder:
        """A new identity for a cluster that does not exist yet, in memory until it is saved.

        `encrypts`: Secrets at rest.
        """
        return cls(
            files=state_of(state).files(name),
            name=name,
            cluster_id=str(uuid4()),
            pki=create_pki(name),
            token=create_token(),
            certificate_key=create_certificate_key(),
            generated=MappingProxyType({key: make() for key, make in makers.items()}),
            encryption=create_encryption() if encrypts else None,
        )

    @classmethod
    def create(cls, state: State | Path, name: str, makers: Makers) -> Folder:
        """A draft, saved."""
        created = cls.draft(state, name, makers)
        created.save()
        return created

    @property
    def where(self) -> str:
        """As people know it."""
        return self.files.where

    @property
    def path(self) -> Path:
        """A folder of this host for what is no secret: the very one where it lies on a disk."""
        return self.files.path

    @property
    def saved(self) -> bool:
        """Whether there is a folder. A cluster's first machine is not created before."""
        return self.files.exists()

    def save(self) -> None:
        """Write a draft, in one step. A saved one: its completed values, with which a run begins.

        Raises FolderError if there is another cluster's folder in its place, or another run was quicker.
        """
        if not self.saved:
            self.files.create(self._documents())
        elif read_identity(self.files.read, self.where, self.name) != self.cluster_id:
            raise made_meanwhile(self.where)
        else:
            self.files.change({SECRETS: self._secrets()}, begins=True)

    @property
    def history(self) -> History:
        """Who has done what to the cluster."""
        return History(self.files)

    @property
    def initialised(self) -> bool:
        """Whether a run has seen the cluster initialised; from then on the first token and certificate key are history."""
        return self.files.has("initialised")

    @property
    def initialised_at(self) -> datetime | None:
        """When a run has first seen it so; None where none has. Long ago where none has said when."""
        if not self.initialised:
            return None
        try:
            text = self.files.read("initialised").decode().strip()
            return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except (FolderError, ValueError):
            return datetime.min.replace(tzinfo=UTC)

    def mark_initialised(self) -> None:
        """Idempotent."""
        if not self.initialised:
            self.files.change({"initialised": initialised_document()})

    @property
    def carrier(self) -> str:
        """Name of the only machine that may ever initialise the cluster; empty where none was noted."""
        return self.files.read("carrier").decode(errors="replace").strip() if self.files.has("carrier") else ""

    def note_carrier(self, name: str) -> None:
        """Before it is made; an empty name where a service keeps that record. Idempotent."""
        if self.carrier != name:
            self.files.change({"carrier": f"{name}\n".encode() if name else None})

    @property
    def restoring(self) -> str:
        """Digest of the snapshot that what exists of the cluster begins with; empty: it is not being restored."""
        digest, words = self._restoration()
        return "" if _ABANDONING in words else digest

    @property
    def abandoning(self) -> str:
        """Digest of the snapshot for which what is left of the cluster is destroyed, before anything is made that begins
        with it; empty: it is not, or not any more."""
        digest, words = self._restoration()
        return digest if _ABANDONING in words else ""

    @property
    def masters_only(self) -> bool:
        """Whether it is masters alone that are restored, or destroyed for that; workers are those of before."""
        return _MASTERS in self._restoration()[1]

    def begin_abandoning(self, sha256: str, *, masters_only: bool = False) -> None:
        """Until a restoration begins with this snapshot; what exists by then is still what it was. Idempotent."""
        self.files.change({"restoring": _restoration_of(sha256, *([_MASTERS] if masters_only else []), _ABANDONING)})

    def begin_restore(self, sha256: str, *, masters_only: bool = False) -> None:
        """From now on, and until it is seen again, the cluster is not initialised, and its keys are this folder's, which
        read what the snapshot holds. Its masters are no discovery service, and none of them is noted. Idempotent."""
        mark = _restoration_of(sha256, *([_MASTERS] if masters_only else []))
        self.files.change({**self._keys(), "restoring": mark, "initialised": None, "carrier": None})

    def end_restore(self) -> None:
        """Idempotent."""
        if self.files.has("restoring"):
            self.files.change({"restoring": None})

    def _restoration(self) -> tuple[str, Sequence[str]]:
        """The digest, and the words after it."""
        text = self.files.read("restoring").decode(errors="replace") if self.files.has("restoring") else ""
        digest, *words = text.split() or [""]
        return digest, words

    def complete(self, makers: Makers) -> Folder:
        """With the values that are missing, as when a driver was chosen later; kept by `save`. Values that exist stay."""
        missing = {key: make() for key, make in makers.items() if key not in self.generated}
        return replace(self, generated=MappingProxyType({**self.generated, **missing})) if missing else self

    def renew_certificate_key(self) -> str:
        """Make and keep a new certificate key, for a later upload of the certificates than the first one."""
        renewed = replace(self, certificate_key=create_certificate_key())
        renewed.files.change({SECRETS: renewed._secrets()})
        return renewed.certificate_key

    def turn_keys(self, stage: Stage) -> None:
        """Bring the keys of Secrets to a stage of their rotation. Idempotent, but for the last one: then the next key is
        made."""
        if self.encryption:
            self.files.change({ENCRYPTION: encryption_document(self.encryption.at(stage))})

    @property
    def kubeconfig(self) -> Path | None:
        """Where the operator's access lies, or will; None: in no file, and whoever wants it asks for it."""
        return self.files.kubeconfig

    def write_kubeconfig(self, server_host: str, reached_at: Endpoint | None = None) -> Path | None:
        """Write or replace the operator's kubeconfig, for the master at the address `server_host`, where one is kept."""
        if self.kubeconfig is not None:
            _replace(self.kubeconfig, render_kubeconfig(self.name, server_host, self.pki, reached_at=reached_at))
        return self.kubeconfig

    def read_kubeconfig(self) -> bytes | None:
        """The operator's kubeconfig as it lies there, None if there is none. Raises FolderError."""
        if self.kubeconfig is None:
            return None
        with telling_os_errors(f"{self.kubeconfig} cannot be read", FolderError):
            return self.kubeconfig.read_bytes() if self.kubeconfig.exists() else None

    @property
    def known_hosts(self) -> Path:
        """Host keys of the cluster's machines, as ssh reads them; it need not exist."""
        return self.path / KNOWN_HOSTS

    def write_known_hosts(self, content: bytes) -> None:
        _replace(self.known_hosts, content)

    def join_secrets(self) -> JoinSecrets:
        """The secrets of the first run; later ones mint a token and a certificate key through a living master."""
        return JoinSecrets(self.pki, self.token, self.certificate_key, encryption=self.encryption)

    def archive(self) -> str:
        """Move the folder aside, so that the next cluster of this name gets its own. Returns where to."""
        self.history.close()
        return self.files.archive()

    def _documents(self) -> Mapping[str, bytes]:
        pki = {f"pki/{file}": content for file, content in self.pki.files.items()}
        own = {IDENTITY: identity_document(self.name, self.cluster_id), SECRETS: self._secrets()}
        return {**pki, **own, **({ENCRYPTION: encryption_document(self.encryption)} if self.encryption else {})}

    def _keys(self) -> Mapping[str, bytes | None]:
        """What is to be changed about them, where the folder that lies there has others than this one, or none."""
        if self.encryption:
            return {ENCRYPTION: encryption_document(self.encryption)}
        return {ENCRYPTION: None} if self.files.has(ENCRYPTION) else {}

    def _secrets(self) -> bytes:
        return values_document(self.token, self.certificate_key, self.generated)


def _restoration_of(*words: str) -> bytes:
    return f"{' '.join(words)}\n".encode()


def _replace(path: Path, content: bytes) -> None:
    with telling_os_errors(f"{path} cannot be written", FolderError):
        replace_file(path, content)
