"""age's encryption of a stream: nothing in clear touches a disk, and memory stays flat."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader, RawIOBase
from typing import BinaryIO, Protocol

import pyrage

from ..contract.errors import BackupError
from .keys import AGE, ARMOR, ARMOR_END, Identity, Keys, Recipients, of_passphrase, under_passphrase

_LARGEST_BLOCK = 16 * 1024
"""Bytes of an identity under a passphrase: some hundreds."""
_BUFFER = 64 * 1024


class Source(Protocol):
    """What is read from, as a file is."""

    def read(self, size: int, /) -> bytes: ...


class Sink(Protocol):
    """What is written to, as a file is."""

    def write(self, content: bytes, /) -> object: ...

    def flush(self) -> object: ...


def seal(pieces: Iterator[bytes], sink: Sink, recipients: Recipients) -> None:
    """Write the pieces to the sink, encrypted. Whatever they raise is raised as it is."""
    keys = recipients.keys
    if recipients.passphrase:
        block, key = under_passphrase(recipients.passphrase)
        sink.write(block)
        keys.append(key)
    source, into = _Pieces(pieces), _Kept(sink)
    try:
        pyrage.encrypt_io(source, into, keys)
    except pyrage.EncryptError as problem:
        raise source.problem or into.problem or problem from problem


class _Pieces(RawIOBase):
    """An iterator as a file. What it raised is kept, since the library would make a text of it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")
        self.problem: BaseException | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        try:
            while not self._left:
                self._left = memoryview(next(self._pieces))
        except StopIteration:
            return b""
        except BaseException as problem:
            self.problem = problem
            raise
        taken, self._left = self._left[:size], self._left[size:]
        return bytes(taken)


class _Kept:
    """A sink that keeps what was raised, for the same reason."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.problem: BaseException | None = None

    def write(self, content: bytes) -> int:
        try:
            self._sink.write(content)
        except BaseException as problem:
            self.problem = problem
            raise
        return len(content)

    def flush(self) -> None:
        """The sink's owner does."""


@contextmanager
def opened(source: Source, keys: Keys) -> Iterator[BinaryIO]:
    """What is inside. It ends where the whole of it was there; one that is damaged raises `BackupError` instead.

    Decrypting runs aside, and waits while nobody reads.
    """
    start, identities = _start(source, keys)
    reading, writing = os.pipe()
    aside = _Aside(_Rest(start, source), writing, identities)
    aside.start()
    try:
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            yield BufferedReader(_Inside(pipe, aside), _BUFFER)
    finally:
        aside.join()


class _Inside(RawIOBase):
    """The pipe's end counts only once it is known why it has come."""

    def __init__(self, pipe: RawIOBase, aside: _Aside) -> None:
        self._pipe, self._aside = pipe, aside

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        count = self._pipe.readinto(buffer)
        if not count:
            self._aside.join()
            if self._aside.problem:
                raise self._aside.problem
        return count or 0


class _Aside(threading.Thread):
    def __init__(self, source: _Rest, writing: int, identities: Sequence[Identity]) -> None:
        super().__init__(name="decrypting", daemon=True)
        self._source, self._writing, self._identities = source, writing, identities
        self.problem: BackupError | None = None

    def run(self) -> None:
        with suppress(BrokenPipeError), os.fdopen(self._writing, "wb") as pipe:
            sink = _Kept(pipe)
            try:
                pyrage.decrypt_io(self._source, sink, self._identities)
            except (pyrage.DecryptError, OSError) as problem:
                if sink.problem is None:  # else nobody reads any more
                    self.problem = self._source.problem or _explained(problem)


class _Rest(RawIOBase):
    """What was read already, and then the source."""

    def __init__(self, start: bytes, source: Source) -> None:
        self._start, self._source = start, source
        self.problem: BackupError | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if self._start:
            taken, self._start = self._start[:size], self._start[size:]
            return taken
        try:
            return _read(self._source, size)
        except BackupError as problem:
            self.problem = problem
            raise OSError from problem


def _read(source: Source, size: int) -> bytes:
    try:
        return source.read(size)
    except Exception as problem:
        raise BackupError(f"it cannot be read: {reason(problem)}") from problem


def reason(problem: Exception) -> str:
    """In a line. Stores raise whatever their libraries do."""
    text = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    if (
        isinstance(problem, FileNotFoundError) and not problem.strerror
    ):  # of which stores say the path, or what of it is missing
        text = f"{os.strerror(errno.ENOENT)} ({text})"
    return " ".join(str(text).split())[:200]


def _start(source: Source, keys: Keys) -> tuple[bytes, Sequence[Identity]]:
    """The first bytes of the encrypted stream, and what may open it."""
    start = _read(source, len(ARMOR))
    sealed = _block(start, source) if start == ARMOR else b""
    if sealed and keys.passphrase:
        return b"", (*keys.identities, of_passphrase(sealed, keys.passphrase()))
    if not sealed and not start.startswith(AGE[: len(start)]):
        raise BackupError("it is no backup of kube-provision: it does not begin as one")
    if not keys.identities:
        how = "is under a passphrase: give it by --passphrase-file, or run at a terminal" if sealed else _ASK_FOR_IDENTITY
        raise BackupError(f"it {how}")
    return b"" if sealed else start, keys.identities


_ASK_FOR_IDENTITY = "is encrypted to keys, and no passphrase opens it: give one of them by --identity-file"


def _block(start: bytes, source: Source) -> bytes:
    """The identity under a passphrase, to its last line."""
    block = bytearray(start)
    while not block.endswith(ARMOR_END):
        byte = _read(source, 1)
        if not byte or len(block) > _LARGEST_BLOCK:
            raise damaged()
        block += byte
    return bytes(block)


def damaged() -> BackupError:
    return BackupError("it is not whole: it was cut, or changed since it was written")


def _explained(problem: Exception) -> BackupError:
    if "no matching keys" in str(problem).lower():
        return BackupError("none of the keys given opens it: it was written for others, or its beginning was changed")
    return damaged()
