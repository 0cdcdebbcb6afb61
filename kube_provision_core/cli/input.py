"""What a command is given to work on: a configuration, and where clusters' folders are."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ..config import Config
    from ..engine.session import Session
    from ..engine.verb import Verb
    from ..folder.state import State
    from ..registry import FoundDriver


class Input(NamedTuple):
    """A configuration as the command line gives it: files, `-e` values, and the flags that are keys."""

    paths: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    flags: Mapping[str, object] = {}
    found_state: State | Path | None = None
    said_of_state: tuple[str, ...] = ()
    """What was said of it on the command line, in words for the next one."""
    unwritten: Mapping[Path, bytes] = {}
    """Content of files that are not there yet."""

    @property
    def state(self) -> State | Path:
        """Where clusters' folders are, in a command that has the options of `state`."""
        assert self.found_state is not None
        return self.found_state

    def session(self, *, alone: bool = False) -> AbstractContextManager[Session]:
        """Of the cluster that is configured; see `open_session`."""
        from ..engine.session import open_session

        return open_session(self.load(), self.state, alone=alone)

    def load(self, defaults: Mapping[str, object] = {}) -> Config:
        """Read and check it all; `defaults` stand for what is given nowhere. Raises `ConfigError`."""
        from dataclasses import replace
        from pathlib import Path

        from ..config import load

        paths = [Path(path) for path in self.paths]
        config = load(
            paths,
            extra=self.extra,
            flags=self.flags,
            environ=os.environ,
            defaults=defaults,
            unwritten=self.unwritten,
        )
        return replace(config, options=(*config.options, *self.said_of_state))

    def load_for(self, verb: Verb) -> Config:
        """A template has no name: in progress and reports the verb's own stands for it."""
        return self.load() if verb.of_cluster else self.load(defaults={"name": verb.name})

    def drivers(self, named: Mapping[str, object]) -> Sequence[FoundDriver]:
        """The drivers that it names, even where it is incomplete; `named` by other flags come first."""
        from pathlib import Path

        from ..config.choosing import choose_drivers
        from ..config.problems import Problems
        from ..config.sources import collect

        problems = Problems()
        given = collect([Path(path) for path in self.paths], self.extra, {**self.flags, **named}, os.environ, problems)
        drivers = choose_drivers(given, problems)
        problems.raise_if_any()
        return drivers
