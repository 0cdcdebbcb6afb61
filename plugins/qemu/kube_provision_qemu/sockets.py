"""Connecting to UNIX sockets in folders of any depth.

A socket's path holds 107 bytes on Linux and 103 on macOS. Servers bind relative to their working folder; a client, whose
threads share one working folder, goes through a short link.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_PATH = 99
"""Bytes that fit everywhere."""


def connect(path: Path, timeout: float) -> socket.socket:
    """A connected socket that raises TimeoutError after `timeout` seconds of silence. Raises OSError as connect does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        with _short(path) as address:
            connection.connect(str(address))
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _short(path: Path) -> Iterator[Path]:
    if len(os.fsencode(path)) <= LONGEST_PATH:
        yield path
        return
    # In /tmp and not in TMPDIR, which may be as deep as the folder itself.
    with tempfile.TemporaryDirectory(prefix="kube-provision-", dir="/tmp") as folder:
        link = Path(folder) / "at"
        link.symlink_to(path.parent)
        yield link / path.name
