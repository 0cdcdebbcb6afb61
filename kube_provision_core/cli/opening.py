"""What opens a backup, on the command line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from .options import FilePath, gathering

if TYPE_CHECKING:
    from ..backup import Archive

OPENING = ("identity_files", "passphrase_file")
"""Parameters of the options that `opening` adds."""

_OPENING = (
    click.option(
        "--identity-file",
        "identity_files",
        multiple=True,
        type=FilePath(),
        metavar="FILE",
        help="What opens the backup: an age identity, or an SSH key; repeatable.",
    ),
    click.option(
        "--passphrase-file",
        type=FilePath(),
        metavar="FILE",
        help="Holds the passphrase of the backup, which else is asked for at a terminal.",
    ),
)


class Opening(NamedTuple):
    """What a user says that opens a backup."""

    identity_files: tuple[str, ...] = ()
    passphrase_file: str | None = None

    def archive(self, where: str) -> Archive:
        """The backup, read to its end. Raises `BackupError`, and `ConfigError` for keys that are none."""
        from ..backup import Archive, Keys, place

        keys = Keys.read([Path(path) for path in self.identity_files], self._passphrase())
        found = place(where)
        with naming(where):
            return Archive.check(found.open, keys, where)

    def _passphrase(self) -> Callable[[], str] | None:
        """Asked for once, however often the backup is opened; None where nobody could be asked."""
        if self.passphrase_file is None and not sys.stdin.isatty():
            return None
        return functools.cache(self._ask)

    def _ask(self) -> str:
        if self.passphrase_file is None:
            return str(click.prompt("Passphrase of the backup", hide_input=True, err=True))
        return read_passphrase(self.passphrase_file)


@contextmanager
def naming(where: str) -> Iterator[None]:
    """What is wrong with a backup is told with where it lies."""
    from ..contract.errors import BackupError

    try:
        yield
    except BackupError as problem:
        text = str(problem)
        raise BackupError(text if text.startswith(where) else f"{where}: {text}") from problem


def read_passphrase(path: str) -> str:
    """A file's, without the end of its line. Raises `ConfigError`, which does not show it."""
    from ..contract.errors import ConfigError

    try:
        passphrase = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as problem:
        raise ConfigError(f"--passphrase-file {path} cannot be read: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(f"--passphrase-file {path}: it holds no text") from problem
    if not passphrase or "\n" in passphrase:
        raise ConfigError(f"--passphrase-file {path}: one line is meant, with the passphrase")
    return passphrase


opening = gathering("opening", _OPENING, OPENING, Opening)
"""Adds the options of what opens a backup; the command gets one `Opening`."""
