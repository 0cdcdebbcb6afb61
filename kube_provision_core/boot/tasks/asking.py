"""Tasks by which a machine tells something: what a step writes comes back in its answer, for nobody else to read."""

from __future__ import annotations

from collections.abc import Sequence

from ...contract.boot import BootFragment, File, Stage, Step
from ...contract.machines import Node
from .programs import closure, command
from .task import Task, make

PROGRAM = "results"
"""Of `kube_provision_node`."""
BESIDE = 2200
"""Bytes of a published document that are taken: by what a boot and an answer say besides, with errors at their longest."""


def asking(verb: str, node: Node, script: str, *, room: int, files: Sequence[File] = (), seconds: int = 60) -> Task:
    """What `script` writes to its standard output is the `result` of the answer: packed, its end where `room`, in bytes, is
    too small for all. Where it fails so does the task. `seconds`: the longest that it may take."""
    step = Step("ask", Stage.FINISH, f"(\n{script.rstrip()}\n) | {_leave(room)}", timeout=seconds, attempts=2)
    return make(verb, node, {"kubernetes": BootFragment(files=(*files, *closure(PROGRAM)), steps=(step,))})


def room_in(limit: int) -> int:
    """Bytes for a result, where a published document may have `limit`."""
    return limit - BESIDE


def _leave(room: int) -> str:
    return f"(\n{command(PROGRAM, str(room))})\n"
