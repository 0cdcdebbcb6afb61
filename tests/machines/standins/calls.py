"""When each call of kubeadm began and ended, written down on the host."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from machines.standins.places import CALLS


@contextmanager
def noted(verb: str) -> Iterator[None]:
    """Begin and end of a call, as seconds that all hosts of a machine share; a call that was killed has no end."""
    _note({"pid": os.getpid(), "verb": verb, "begin": time.time()})
    ok = False
    try:
        yield
        ok = True
    finally:
        _note({"pid": os.getpid(), "verb": verb, "end": time.time(), "ok": ok})


def _note(event: dict[str, object]) -> None:
    with CALLS.open("a") as file:
        file.write(json.dumps(event) + "\n")
