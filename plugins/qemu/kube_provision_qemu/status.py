"""What a machine's runner last said on its status channel: a virtio-serial port that QEMU writes to a file."""

from __future__ import annotations

from pathlib import Path

from kube_provision_core import NodeStatus

from .files import read_tail

LIMIT = 64 * 1024
"""Bytes of the file that are read; the runner's lines are a few thousand at most."""


def last(path: Path) -> NodeStatus | None:
    """The last whole line that is a status; None where there is none. A guest may write anything there."""
    lines = read_tail(path, LIMIT).split("\n")[:-1]
    return next(filter(None, map(NodeStatus.parse, reversed(lines))), None)
