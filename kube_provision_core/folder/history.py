"""A cluster's history: who has done what to it, and how that ended.

history.jsonl    a line of JSON as each run that changes something begins, and one as it ends

Lines are only ever added, and each has the digest of the one before it. Whoever knows the digest of the last one, the head,
notices a line that was changed or cut. Nothing in it is a secret, and nothing in it proves who has written it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ..contract.errors import BusyError
from .state import Files
from .whoami import whoami

FILE = "history.jsonl"

_TRIES = 5
"""Each is another run that has written a line meanwhile, where no lock keeps it apart."""


@dataclass(frozen=True)
class Run:
    """One that changes something."""

    verb: str
    options: Mapping[str, Any]
    """What was asked for, where it is not what is meant without."""
    digest: str
    """Of its plan, as `plan --output json` prints it."""
    changes: Mapping[str, int]
    """How many actions its plan had that surely do something, by their marks."""
    program: str
    """Version of kube-provision."""
    begun: str = ""
    """Such as `2026-11-29T08:30:00Z`, by the clock of the host that it ran on; so is `ended`."""
    by: str = ""
    """Whom people can ask: a user and a host, as its system said."""
    lost: str = ""
    """Head that discovery had been told of, and which no line had any more as the run began."""
    ended: str = ""
    """Empty: it has not. It is at work still, or was killed."""
    exit_code: int | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """How many actions ended how."""


@dataclass(frozen=True)
class Chain:
    """All lines, from the first to the last."""

    lines: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, content: bytes) -> Chain:
        return cls(tuple(content.splitlines()))

    @property
    def content(self) -> bytes:
        return b"".join(line + b"\n" for line in self.lines)

    @property
    def head(self) -> str:
        """Digest of the last line; empty where there is none."""
        return _digest(self.lines[-1]) if self.lines else ""

    def has(self, head: str) -> bool:
        """Whether this is the head of these lines, or was it once."""
        return not head or head in map(_digest, self.lines)

    def followed_by(self, document: Mapping[str, Any]) -> Chain:
        line = json.dumps({"previous": self.head, **document}, separators=(",", ":")).encode()
        return Chain((*self.lines, line))

    @property
    def fault(self) -> str:
        """Where lines were changed or cut, but for those at the end; empty: nowhere."""
        before = ""
        for number, line in enumerate(self.lines, 1):
            if _document(line).get("previous") != before:
                return f"line {number} was not written after what is before it: lines were cut there, or changed"
            before = _digest(line)
        return ""

    @property
    def runs(self) -> Mapping[str, Run]:
        """By the digest of the line with which each begins, in the order in which they did."""
        runs: dict[str, Run] = {}
        for line in self.lines:
            said = _document(line)
            of = str(said.get("of", ""))
            if not of:
                runs[_digest(line)] = _begun(said)
            elif of in runs:
                runs[of] = _ended(runs[of], said)
        return runs


@dataclass(frozen=True)
class History:
    """As it lies in a cluster's folder."""

    files: Files

    def read(self) -> Chain:
        """Nothing in a folder of before there was one. Raises `FolderError`."""
        return Chain.parse(self.files.read(FILE)) if self.files.has(FILE) else Chain()

    def begin(self, run: Run, known: str) -> str:
        """Write that a run begins, before it changes anything. Returns the digest of its line.

        `known`: the head that discovery was told of last. Raises `FolderError`, also where another run has written to the
        folder since this one has read it.
        """
        chain = self.read()
        document = {"begun": _now(), "by": whoami(), **dict(_asked(run))}
        lost = {} if chain.has(known) else {"lost": known}
        return self._write(chain.followed_by(document | lost), begins=True)

    def end(self, begun: str, exit_code: int, outcomes: Mapping[str, int]) -> str:
        """Write how the run ended whose line has the digest `begun`. Returns the digest of the new line.

        What another run has written meanwhile stays before it. Raises `FolderError`.
        """
        document = {"ended": _now(), "of": begun, "exit_code": exit_code, "outcomes": dict(outcomes)}
        for _ in range(_TRIES):
            try:
                return self._write(self.read().followed_by(document))
            except BusyError as busy:
                overtaken = busy
        raise overtaken

    def close(self) -> None:
        """The run that is under way ends, all being done, with its cluster."""
        runs = self.read().runs
        for begun in list(runs)[-1:]:
            if not runs[begun].ended:
                self.end(begun, 0, {})

    def _write(self, chain: Chain, *, begins: bool = False) -> str:
        self.files.change({FILE: chain.content}, begins=begins)
        return chain.head


def _digest(line: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(line).hexdigest()


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _document(line: bytes) -> Mapping[str, Any]:
    """Empty for what nobody of us has written."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _asked(run: Run) -> Iterator[tuple[str, Any]]:
    for name in ("verb", "options", "digest", "changes", "program"):
        yield name, getattr(run, name)


def _begun(said: Mapping[str, Any]) -> Run:
    def word(name: str) -> str:
        return str(said.get(name, ""))

    options, changes = (_mapping(said.get(name)) for name in ("options", "changes"))
    what = Run(word("verb"), options, word("digest"), changes, word("program"))
    return replace(what, begun=word("begun"), by=word("by"), lost=word("lost"))


def _ended(run: Run, said: Mapping[str, Any]) -> Run:
    code = said.get("exit_code")
    outcomes = _mapping(said.get("outcomes"))
    return replace(
        run, ended=str(said.get("ended", "")), exit_code=code if isinstance(code, int) else None, outcomes=outcomes
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
