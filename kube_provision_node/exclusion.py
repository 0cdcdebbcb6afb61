"""One at a time: the boot, what a machine is given to do, and what its timers do.

The kernel's lock of a file: whoever is killed lets go of it.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator

from .settings import Places


@contextlib.contextmanager
def alone(places: Places) -> Iterator[None]:
    """Wait until nothing else of ours works on this machine, and keep it so. Raises `OSError`."""
    places.volatile.mkdir(parents=True, exist_ok=True)
    with (places.volatile / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
