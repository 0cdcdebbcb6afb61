"""What `--state` says: a folder of this host, or a store, and then who can open what is written there and what opens it."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from ..contract.errors import ConfigError
from ..folder.on_disk import default_state

if TYPE_CHECKING:
    from ..backup import Keys
    from ..folder.state import State
    from ..state import SealedState


class Said(NamedTuple):
    """As it was given, by whichever means."""

    where: str | None
    recipients: Sequence[str] = ()
    recipients_files: Sequence[str] = ()
    identity_files: Sequence[str] = ()

    @property
    def is_store(self) -> bool:
        scheme, _, rest = (self.where or "").partition("://")
        return bool(rest) and scheme.replace("+", "").isalnum()

    def state(self, environ: Mapping[str, str] = os.environ, *, too_much: str = "") -> State | Path:
        """`too_much`: an option of stores that the command line itself gives; what the environment says is for those alone.

        Raises `ConfigError` with all that is missing, or is too much.
        """
        if self.is_store:
            return self.store(environ)
        if too_much:
            raise ConfigError(f"{too_much} goes with a --state that is a URL: a folder of this host is not encrypted")
        return Path(self.where).absolute() if self.where else default_state(environ)

    def store(self, environ: Mapping[str, str] = os.environ) -> SealedState:
        """The same for who can work with a store alone."""
        from ..backup import Recipients
        from ..state import SealedState, url_of

        if not self.is_store:
            raise ConfigError("--state is a folder of this host: name the URL of a store, such as s3://BUCKET/FOLDER")
        if missing := list(self._missing()):
            raise ConfigError(*missing)
        url = url_of(str(self.where))
        recipients = Recipients.read(self.recipients, map(Path, self.recipients_files), option="--state-recipient")
        return SealedState(url, default_state(environ), recipients, self._keys())

    def _missing(self) -> Sequence[str]:
        found = []
        if not (self.recipients or self.recipients_files):
            found.append(
                f"--state {self.where} is encrypted: name all who can open it by --state-recipient KEY or "
                "--state-recipients-file FILE"
            )
        if not self.identity_files:
            found.append(f"--state {self.where} is encrypted: name what opens it by --state-identity-file FILE")
        return found

    def _keys(self) -> Keys:
        from ..backup import Keys

        return Keys.read(map(Path, self.identity_files), functools.cache(_ask))


def _ask() -> str:
    if not sys.stdin.isatty():
        raise ConfigError("--state-identity-file is under a passphrase, and nobody can be asked: run at a terminal")
    return str(click.prompt("Passphrase of the state's identity", hide_input=True, err=True))
