"""Collecting everything that is wrong, so that it is told at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kube_provision_core import ConfigError


class Problems:
    """Lines, each with those whom it concerns."""

    def __init__(self) -> None:
        self._lines: dict[str, set[str]] = {}
        self._everybody: set[str] = set()

    @contextmanager
    def collected(self, whom: str = "") -> Iterator[None]:
        """Take in a `ConfigError` from inside, as a problem of `whom`, and go on behind it."""
        self._everybody.add(whom)
        try:
            yield
        except ConfigError as error:
            for line in error.problems:
                self._lines.setdefault(line, set()).add(whom)

    @property
    def lines(self) -> list[str]:
        """One that does not concern everybody says whom it concerns."""
        found = self._lines.items()
        return [text if whom == self._everybody else f"{text} (for: {', '.join(sorted(whom))})" for text, whom in found]

    def check(self) -> None:
        """Raise them all, if there are any."""
        if self._lines:
            raise ConfigError(*self.lines)
