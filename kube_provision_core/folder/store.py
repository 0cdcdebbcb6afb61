"""The cluster's folder of secrets: the only thing that is kept between runs.

STATE/prod.lock             held by the run that acts on the cluster
STATE/prod/cluster.json     name and identity
STATE/prod/secrets.json     first token, certificate key, values that drivers had made
STATE/prod/pki/…            certificate authorities and service-account key
STATE/prod/initialised      exists once the cluster was observed to be initialised
STATE/prod/restoring        while it is restored: the digest of the snapshot that what exists of it begins with; before
                            that, while what was left of it is destroyed, with the word `abandoning`. With the word
                            `masters` where they alone are restored, and workers are those of before
STATE/prod/kubeconfig       for the operator; may be written again at any time
STATE/prod/known_hosts      host keys that machines have told, no secrets; may be missing
STATE/prod.config/…         the configuration, where a restored cluster has it from its backup
"""

from __future__ import annotations

import errno
import json
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from ..contract.errors import FolderError
from ..contract.kept_files import create_file, leftovers, replace_file, sync_folder, telling_os_errors
from ..contract.machines import Endpoint
from . import lock as run_lock
from . import private_files
from .home import home
from .kubeconfig import render_kubeconfig
from .pki import PKI_FILES, JoinSecrets, Pki, create_certificate_key, create_pki, create_token

FORMAT = 1
"""Version of the folder's layout; a folder of a later one is refused."""

_ABANDONING, _MASTERS = "abandoning", "masters"

Makers = Mapping[str, Callable[[], str]]
"""Name of a value → how to make it."""


def default_state(environ: Mapping[str, str]) -> Path:
    """Where folders are kept unless `--state` says otherwise, by the XDG rules: a relative setting is ignored.

    Raises `ConfigError` for who has no home folder.
    """
    configured = Path(environ.get("XDG_STATE_HOME", ""))
    return (configured if configured.is_absolute() else home(environ) / ".local" / "state") / "kube-provision"


@dataclass(frozen=True, slots=True)
class Folder:
    """One cluster's folder, read and checked. Change it only while holding its lock."""

    path: Path
    name: str
    cluster_id: str
    pki: Pki = field(repr=False)
    token: str = field(repr=False)
    certificate_key: str = field(repr=False)
    generated: Mapping[str, str] = field(repr=False)
    """Values made once for drivers, by field name."""

    @staticmethod
    @contextmanager
    def lock(state: Path, name: str, *, briefly: bool = False) -> Iterator[None]:
        """Let no other run act on this cluster, nor create its folder, meanwhile. Creates `state` if need be.

        `briefly`: others wait for its end.

        Raises BusyError that names the other run. What a killed run had begun to write is cleared away.
        """
        create_state(state)
        with run_lock.hold(path_of(state, name).with_name(f"{name}.lock"), f"cluster {name}", briefly=briefly):
            _clear_away(state, name)
            yield

    @classmethod
    def open(cls, state: Path, name: str) -> Folder | None:
        """The cluster's folder, None if there is none. Raises FolderError if it is damaged or open to others."""
        path = path_of(state, name)
        if not private_files.is_there(path):
            return None
        for folder in (path, path / "pki", path / "pki" / "etcd"):
            private_files.check_folder(folder)
        return cls._of(path, lambda file: private_files.read(path / file))

    @classmethod
    def backed_up(cls, state: Path, name: str, files: Mapping[str, bytes]) -> Folder:
        """The one that was kept as `files`, by their paths in it: in memory until it is saved.

        Raises FolderError if it is damaged, or that of a cluster of another name.
        """
        path = path_of(state, name)

        def read(file: str) -> bytes:
            if file not in files:
                raise FolderError(f"the backup of the folder lacks {file}: it was not made by kube-provision")
            return files[file]

        return cls._of(path, read)

    @classmethod
    def _of(cls, path: Path, read: Callable[[str], bytes]) -> Folder:
        identity = _parse_identity(read("cluster.json"), path)
        shape = {"token": str, "certificate_key": str, "generated": dict}
        values = _parse_json(read("secrets.json"), path / "secrets.json", shape)
        return cls(
            path=path,
            name=path.name,
            cluster_id=identity["cluster_id"],
            pki=_read_pki(path / "pki", read),
            token=values["token"],
            certificate_key=values["certificate_key"],
            generated=MappingProxyType({key: str(value) for key, value in values["generated"].items()}),
        )

    @classmethod
    def draft(cls, state: Path, name: str, makers: Makers) -> Folder:
        """A new identity for a cluster that does not exist yet, in memory until it is saved."""
        return cls(
            path=path_of(state, name),
            name=name,
            cluster_id=str(uuid4()),
            pki=create_pki(name),
            token=create_token(),
            certificate_key=create_certificate_key(),
            generated=MappingProxyType({key: make() for key, make in makers.items()}),
        )

    @classmethod
    def create(cls, state: Path, name: str, makers: Makers) -> Folder:
        """A draft, saved."""
        created = cls.draft(state, name, makers)
        created.save()
        return created

    @property
    def saved(self) -> bool:
        """Whether there is a folder. A cluster's first machine is not created before."""
        return private_files.is_there(self.path)

    def save(self) -> None:
        """Write a draft, in one step: a run killed meanwhile leaves nothing of that name. A saved one: its completed values.

        Raises FolderError if there is another cluster's folder in its place.
        """
        if self.saved:
            _check_same(self)
            self._replace("secrets.json", self._secrets())
            return
        create_state(self.path.parent)
        with telling_os_errors(f"{self.path} cannot be written", FolderError):
            self._write()

    @property
    def initialised(self) -> bool:
        """Whether a run has seen the cluster initialised; from then on the first token and certificate key are history."""
        return (self.path / "initialised").exists()

    def mark_initialised(self) -> None:
        """Idempotent."""
        if not self.initialised:
            self._replace("initialised", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())

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
        self._mark_restoration(sha256, *([_MASTERS] if masters_only else []), _ABANDONING)

    def begin_restore(self, sha256: str, *, masters_only: bool = False) -> None:
        """From now on, and until it is seen again, the cluster is not initialised. Idempotent."""
        self._mark_restoration(sha256, *([_MASTERS] if masters_only else []))
        with telling_os_errors(f"{self.path} cannot be written", FolderError):
            (self.path / "initialised").unlink(missing_ok=True)
            sync_folder(self.path)

    def end_restore(self) -> None:
        """Idempotent."""
        with telling_os_errors(f"{self.path} cannot be written", FolderError):
            (self.path / "restoring").unlink(missing_ok=True)

    def _mark_restoration(self, *words: str) -> None:
        self._replace("restoring", f"{' '.join(words)}\n".encode())

    def _restoration(self) -> tuple[str, Sequence[str]]:
        """The digest, and the words after it."""
        path = self.path / "restoring"
        text = private_files.read(path).decode(errors="replace") if private_files.is_there(path) else ""
        digest, *words = text.split() or [""]
        return digest, words

    def complete(self, makers: Makers) -> Folder:
        """With the values that are missing, as when a driver was chosen later; kept by `save`. Values that exist stay."""
        missing = {key: make() for key, make in makers.items() if key not in self.generated}
        return replace(self, generated=MappingProxyType({**self.generated, **missing})) if missing else self

    def renew_certificate_key(self) -> str:
        """Make and keep a new certificate key, for a later upload of the certificates than the first one."""
        renewed = replace(self, certificate_key=create_certificate_key())
        renewed._replace("secrets.json", renewed._secrets())
        return renewed.certificate_key

    def write_kubeconfig(self, server_host: str, reached_at: Endpoint | None = None) -> Path:
        """Write or replace the operator's kubeconfig, for the master at the address `server_host`."""
        return self._replace("kubeconfig", render_kubeconfig(self.name, server_host, self.pki, reached_at=reached_at))

    def read_kubeconfig(self) -> bytes | None:
        """The operator's kubeconfig as it lies there, None if there is none. Raises FolderError."""
        path = self.path / "kubeconfig"
        with telling_os_errors(f"{path} cannot be read", FolderError):
            return path.read_bytes() if path.exists() else None

    @property
    def known_hosts(self) -> Path:
        """Host keys of the cluster's machines, as ssh reads them; it need not exist."""
        return self.path / "known_hosts"

    def write_known_hosts(self, content: bytes) -> None:
        self._replace(self.known_hosts.name, content)

    def join_secrets(self) -> JoinSecrets:
        """The secrets of the first run; later ones mint a token and a certificate key through a living master."""
        return JoinSecrets(self.pki, self.token, self.certificate_key)

    def archive(self) -> Path:
        """Move the folder aside, so that the next cluster of this name gets its own. Returns where to."""
        base = f"{self.name}.destroyed-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        names = (base, *(f"{base}-{number}" for number in range(2, 100)))
        aside = next(path for path in map(self.path.with_name, names) if not path.exists())
        with telling_os_errors(f"{self.path} cannot be moved aside", FolderError):
            self.path.rename(aside)
            sync_folder(aside.parent)
        return aside

    def _write(self) -> None:
        """Write everything beside the folder's place, then move it there."""
        beside = self.path.with_name(f".{self.name}.new-{secrets.token_hex(8)}")
        try:
            self._write_files(beside)
            beside.rename(self.path)
        except BaseException as problem:
            shutil.rmtree(beside, ignore_errors=True)
            if isinstance(problem, OSError) and problem.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise _made_meanwhile(self.path) from problem
            raise
        sync_folder(self.path.parent)

    def _write_files(self, path: Path) -> None:
        folders = (path, path / "pki", path / "pki" / "etcd")
        for folder in folders:
            private_files.make_folder(folder)
        for file, content in self.pki.files.items():
            create_file(path / "pki" / file, content)
        identity = {"format": FORMAT, "name": self.name, "cluster_id": self.cluster_id}
        create_file(path / "cluster.json", _json(identity))
        create_file(path / "secrets.json", self._secrets())
        for folder in folders:
            sync_folder(folder)

    def _secrets(self) -> bytes:
        return _json(
            {"token": self.token, "certificate_key": self.certificate_key, "generated": dict(self.generated)},
        )

    def _replace(self, file: str, content: bytes) -> Path:
        path = self.path / file
        with telling_os_errors(f"{path} cannot be written", FolderError):
            replace_file(path, content)
        return path


@contextmanager
def lock_templates(state: Path) -> Iterator[None]:
    """Let no other run bake meanwhile. Creates `state` if need be. Raises BusyError that names the other run."""
    create_state(state)
    with run_lock.hold(state / ".bake.lock", "templates"):
        yield


def path_of(state: Path, name: str) -> Path:
    """The folder's place. Raises FolderError for what cannot be a cluster's name."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
        raise FolderError(f"{name!r} is no cluster name: it must be a DNS label")
    return state / name


def create_state(state: Path) -> None:
    """Idempotent. Raises FolderError."""
    with telling_os_errors(f"{state} cannot be made", FolderError):
        try:
            state.parent.mkdir(parents=True, exist_ok=True)
            state.mkdir(mode=0o700, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as problem:
            raise FolderError(f"{problem.filename} is no folder: choose another --state") from problem


def _clear_away(state: Path, name: str) -> None:
    with telling_os_errors(f"{state} cannot be cleared of what a killed run left", FolderError):
        for leftover in state.glob(f".{name}.new-*"):
            shutil.rmtree(leftover)
        for leftover in leftovers(state / name):
            leftover.unlink()


def _read_pki(path: Path, read: Callable[[str], bytes]) -> Pki:
    pki = Pki({file: read(f"pki/{file}") for file in PKI_FILES})
    damaged = pki.damaged()
    if damaged:
        files = ", ".join(str(path / file) for file in damaged)
        raise FolderError(f"damaged or not made for each other: {files}; restore the folder from your backup")
    return pki


def _parse_json(content: bytes, path: Path, shape: Mapping[str, type]) -> dict[str, Any]:
    try:
        document = json.loads(content)
        sound = all(isinstance(document[key], kind) for key, kind in shape.items())
    except (ValueError, TypeError, KeyError) as problem:
        raise FolderError(f"{path} is damaged: restore it from your backup") from problem
    if not sound:
        raise FolderError(f"{path} is damaged: restore it from your backup")
    return dict(document)


def _parse_identity(content: bytes, path: Path) -> dict[str, Any]:
    identity = _parse_json(content, path / "cluster.json", {"format": int, "name": str, "cluster_id": str})
    if identity["format"] > FORMAT:
        raise FolderError(f"{path} was written by a later version of kube-provision: use that one")
    if identity["name"] != path.name:
        raise FolderError(f"{path} holds the secrets of cluster {identity['name']}, not of {path.name}: rename it back")
    return identity


def _check_same(folder: Folder) -> None:
    identity = _parse_identity(private_files.read(folder.path / "cluster.json"), folder.path)
    if identity["cluster_id"] != folder.cluster_id:
        raise _made_meanwhile(folder.path)


def _made_meanwhile(path: Path) -> FolderError:
    return FolderError(f"{path} exists already, which another run may have made: run again")


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"
