"""Whom a backup is encrypted to, and what opens it: age's recipients and identities, SSH keys, a passphrase."""

from __future__ import annotations

import shlex
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pyrage
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from ..contract.errors import BackupError, ConfigError

ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----\n"
ARMOR_END = b"-----END AGE ENCRYPTED FILE-----\n"
AGE = b"age-encryption.org/v1\n"
IDENTITY = "AGE-SECRET-KEY-"
"""How one begins."""
_LARGEST = 1024 * 1024
_TOLD = 5
"""Of a file with more lines that are no recipients it was meant another file."""

Recipient: TypeAlias = object
Identity: TypeAlias = object
"""age's own, or of an SSH key; the library has no base of both."""


@dataclass(frozen=True)
class Recipients:
    """Who can open what is written."""

    names: tuple[str, ...] = ()
    """As they are written: `age1…`, `ssh-ed25519 …`, `ssh-rsa …`."""
    passphrase: str = field(default="", repr=False)
    """Whoever knows it, too; empty: nobody more."""

    @classmethod
    def read(
        cls, given: Iterable[str], files: Iterable[Path], passphrase: str = "", option: str = "--recipient"
    ) -> Recipients:
        """`given` by themselves, and one a line of `files`, each once. Raises `ConfigError` with all that are none."""
        listed = {path: list(_lines(path)) for path in files}
        places = [*((option, text) for text in given), *(place for lines in listed.values() for place in lines)]
        problems = _first_of([problem for place, text in places if (problem := _problem(place, text))])
        problems += [f"{path} names no recipient: one a line is meant" for path, lines in listed.items() if not lines]
        if not places and not passphrase and not listed:
            problems = ["nobody could open the backup: name whom it is for by --recipient, or give it a passphrase"]
        if problems:
            raise ConfigError(*problems)
        names: dict[str, str] = {}
        for _, text in places:
            names.setdefault(_bare(text), " ".join(text.split()))
        return cls(tuple(names.values()), passphrase)

    def refuse_kept_in(self, folder: Path) -> None:
        """Raise `ConfigError` where what opens the backup lies in the cluster's folder: it would be lost with that."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and self._open_with(path):
                raise ConfigError(
                    f"{path} opens the backup and lies in the cluster's folder, which may be lost with the cluster: keep "
                    "what opens backups elsewhere"
                )

    def _open_with(self, path: Path) -> bool:
        try:
            content = _content(path)
        except ConfigError:
            return False
        if self.passphrase and content.strip() == self.passphrase.strip().encode():
            return True
        return not {_bare(name) for name in self.names}.isdisjoint(_publics(content))

    @property
    def keys(self) -> list[Recipient]:
        return [_recipient(name) for name in self.names]


@dataclass(frozen=True)
class Keys:
    """What opens a backup."""

    identities: tuple[Identity, ...] = field(default=(), repr=False)
    passphrase: Callable[[], str] | None = field(default=None, repr=False)
    """Asked for where it is needed, and at most once for a file; None where there is none."""

    @classmethod
    def read(cls, files: Iterable[Path] = (), passphrase: Callable[[], str] | None = None) -> Keys:
        """Identities from age's files, which may be under the passphrase, or SSH's. Raises `ConfigError`."""
        identities = [identity for path in files for identity in _identities(path, _content(path), passphrase)]
        return cls(tuple(identities), passphrase)


def passing() -> tuple[str, Keys]:
    """A recipient, and what opens for it; both are new, and kept nowhere."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity.to_public()), Keys((identity,))


def under_passphrase(passphrase: str) -> tuple[bytes, Recipient]:
    """A new identity, armored, that the passphrase opens, and its recipient. age streams to recipients only."""
    identity = pyrage.x25519.Identity.generate()
    sealed: bytes = pyrage.passphrase.encrypt(f"{identity}\n".encode(), passphrase, armored=True)
    return sealed.rstrip(b"\n") + b"\n", identity.to_public()


def of_passphrase(sealed: bytes, passphrase: str) -> Identity:
    """The one that is under it. Raises `BackupError`."""
    try:
        identity: Identity = pyrage.x25519.Identity.from_str(pyrage.passphrase.decrypt(sealed, passphrase).decode().strip())
    except (pyrage.DecryptError, pyrage.IdentityError, UnicodeDecodeError) as problem:
        raise BackupError(_closed(problem, "the passphrase does not open it, or its beginning was changed")) from problem
    return identity


def _closed(problem: Exception, usual: str) -> str:
    """Why a passphrase opens nothing: age tries none for which this host would have to compute for minutes."""
    slow = "the passphrase was not tried, as this host would take too long for it: open it on a faster one"
    return slow if "excessive work" in str(problem).lower() else usual


def _first_of(problems: Sequence[str]) -> list[str]:
    left = len(problems) - _TOLD
    return [*problems[:_TOLD], *([f"and {left} more like these"] if left > 0 else [])]


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_content(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        try:
            yield f"{path}:{number}", line.decode()
        except UnicodeDecodeError as problem:
            raise ConfigError(f"{path} is no list of recipients, one a line: line {number} holds no text") from problem


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}") from problem
    if len(content) > _LARGEST:
        raise ConfigError(f"{path} is no file of keys: it is larger than {_LARGEST} bytes")
    return content


def _problem(place: str, text: str) -> str:
    """Never shows what may be a secret."""
    if IDENTITY in text.upper() or "PRIVATE KEY" in text:
        return f"{place}: a secret key is no recipient: give its public one (age1…), and keep this one to yourself"
    try:
        _recipient(text)
    except (pyrage.RecipientError, ValueError):
        return f"{place}: no recipient, which is an age1…, an ssh-ed25519 or an ssh-rsa key"
    return ""


def _recipient(text: str) -> Recipient:
    kind = pyrage.ssh if text.strip().startswith("ssh-") else pyrage.x25519
    recipient: Recipient = kind.Recipient.from_str(text.strip())
    return recipient


def _identities(path: Path, content: bytes, passphrase: Callable[[], str] | None) -> Sequence[Identity]:
    if content.startswith((AGE, ARMOR.rstrip())):
        content = _opened(path, content, passphrase)
    try:
        return list(_parsed(content))
    except (pyrage.IdentityError, ValueError) as problem:
        raise ConfigError(
            f"{path}: no identity, which is an age key (AGE-SECRET-KEY-1…) or an SSH key without a passphrase"
        ) from problem


def _opened(path: Path, content: bytes, passphrase: Callable[[], str] | None) -> bytes:
    if not _is_under_passphrase(content):
        raise ConfigError(
            f"{path} is itself encrypted, to keys and under no passphrase: decrypt it where one of these is "
            f"(age --decrypt --identity KEY {shlex.quote(str(path))}), and give what comes of it"
        )
    if passphrase is None:
        raise ConfigError(f"{path} is under a passphrase: give it by --passphrase-file, or run at a terminal")
    try:
        return bytes(pyrage.passphrase.decrypt(content, passphrase()))
    except pyrage.DecryptError as problem:
        raise ConfigError(f"{path}: {_closed(problem, 'the passphrase does not open it')}") from problem


def _is_under_passphrase(content: bytes) -> bool:
    """By age's header, which says for whom it is. One that cannot be read is told by who tries to open it."""
    if content.startswith(ARMOR.rstrip()):
        with suppress(ValueError):
            content = b64decode(content.partition(b"\n")[2].partition(b"-----")[0])
    header = content.removeprefix(AGE)
    return header.startswith(b"-> scrypt ") or not header.startswith(b"-> ")


def _parsed(content: bytes) -> Iterator[Identity]:
    if b"PRIVATE KEY" in content:
        yield pyrage.ssh.Identity.from_buffer(content)
        return
    lines = [line.strip() for line in content.decode().splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise ValueError("empty")
    yield from map(pyrage.x25519.Identity.from_str, found)


def _publics(content: bytes) -> Iterator[str]:
    """What a file opens, as recipients are written."""
    for line in content.decode(errors="replace").splitlines():
        if line.strip().startswith(IDENTITY):
            try:
                yield str(pyrage.x25519.Identity.from_str(line.strip()).to_public())
            except pyrage.IdentityError:
                continue
    if b"PRIVATE KEY" in content:
        yield from _ssh_publics(content)


def _ssh_publics(content: bytes) -> Iterator[str]:
    for load in (load_ssh_private_key, load_pem_private_key):
        try:
            yield load(content, None).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue


def _bare(name: str) -> str:
    """Without the comment that may follow an SSH key."""
    return " ".join(name.split()[:2])
