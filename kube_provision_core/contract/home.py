"""The home folder of whoever runs this, and what lies in it by the XDG rules."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from .errors import ConfigError


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


def xdg_folder(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """The program's own: below what `variable` names, such as `XDG_DATA_HOME`, else below `default` of the home folder.

    A relative or empty setting is ignored. Raises `ConfigError` for who has no home folder, where that is wanted.
    """
    configured = Path(environ.get(variable, ""))
    return (configured if configured.is_absolute() else home(environ) / default) / "kube-provision"
