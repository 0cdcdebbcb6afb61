"""What a diagnosis rests on, what it says, and the words that many programs share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Callable, Protocol


class Probes(Protocol):
    """See `probes.Probes`."""

    def has_default_route(self) -> bool | None: ...
    def has_route_to(self, address: str) -> bool | None: ...
    def swaps(self) -> tuple[str, ...]: ...
    def clock_ahead(self, urls: Iterable[str]) -> float | None: ...
    def authority(self, port: int) -> str | None: ...
    def accepts_token(self, port: int, pin: str) -> bool | None: ...
    def has_resolver_file(self) -> bool: ...


@dataclass(frozen=True)
class Evidence:
    """What is known about a step that fails, or that takes its time."""

    stage: str
    lines: tuple[str, ...]
    """The last that it has said, on either stream, oldest first."""
    pin: str = ""
    """The authority that this machine was told to trust."""
    proxy_port: int = 8443
    discovery_address: str = ""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def present(self) -> Evidence:
        """Only what was said last: a step that still runs may have got over what it said before."""
        return replace(self, lines=self.lines[-_PRESENT:])

    def says(self, pattern: str) -> re.Match[str] | None:
        """Where it says so first; its `string` is the line."""
        return next(self._matches(pattern, self.lines), None)

    def says_last(self, pattern: str) -> re.Match[str] | None:
        return next(self._matches(pattern, reversed(self.lines)), None)

    @staticmethod
    def _matches(pattern: str, lines: Iterable[str]) -> Iterator[re.Match[str]]:
        return filter(None, (re.search(pattern, line) for line in lines))


@dataclass(frozen=True)
class Diagnosis:
    name: str
    """A word for programs; it never changes."""
    cause: str
    advice: str
    replace: bool = False
    """No further attempt helps: only a new machine in its place does."""


Recogniser = Callable[[Evidence, Probes], "Diagnosis | None"]

_PRESENT = 3
_LONGEST_QUOTE = 220

NO_NAME = r"(?:emporary failure (?:in name )?resol|ould(?: not|n't) resolve|o such host|ame or service not known)"
NO_WAY = r"(?:etwork is unreachable|o route to host)"
NO_ANSWER = (
    r"(?:onnection (?:refused|failed|reset)|imed out|imeout was reached|i/o timeout|nable to connect|"
    r"(?:ailed to|ould not|ouldn't|annot initiate the) connect)"
)
NO_TRUST = r"(?:ertificate|andshake|SSL)"


def cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_QUOTE else f"{text[: _LONGEST_QUOTE - 1]}…"
