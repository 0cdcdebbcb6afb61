"""The home folder of whoever runs this."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from ..contract.errors import ConfigError


def home(environ: Mapping[str, str]) -> Path:
    """By `HOME`, else by the system's list of users. Raises `ConfigError` for who is in neither, as in many a container.

    An empty `HOME` says nothing: Python would take it for the root of all folders.
    """
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError as error:
        raise ConfigError(f"user {os.getuid()} has no home folder here: set HOME") from error
