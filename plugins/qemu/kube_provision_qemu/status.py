"""What a machine's runner last said on its status channel: a virtio-serial port that QEMU writes to a file."""

from __future__ import annotations

import json
from pathlib import Path

from kube_provision_core import NodeStatus, Stage

from .files import read_tail

LIMIT = 64 * 1024
"""Bytes of the file that are read; the runner's lines are a few hundred."""

_LONGEST_ERROR = 4096


def last(path: Path) -> NodeStatus | None:
    """The last whole line that is a status; None where there is none. A guest may write anything there."""
    lines = read_tail(path, LIMIT).split("\n")[:-1]
    return next(filter(None, map(_parse, reversed(lines))), None)


def _parse(line: str) -> NodeStatus | None:
    try:
        said = json.loads(line)
        stage, state, error = Stage(said["stage"]), said["state"], said.get("error", "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if state not in ("running", "done", "failed") or not isinstance(error, str):
        return None
    return NodeStatus(stage, state, error[:_LONGEST_ERROR])
