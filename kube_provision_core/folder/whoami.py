"""Whom people can ask about something that was written: who runs this program, and where."""

from __future__ import annotations

import getpass
import os
import socket


def whoami() -> str:
    """Such as `ada on ops-2`, as this system says. It proves nothing."""
    return f"{_user()} on {socket.gethostname()}"


def _user() -> str:
    """A container's may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
