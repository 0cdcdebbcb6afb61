"""Where tests keep what is expensive to make: outside of the checkout, shared by every worker and every run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.own_network import outside


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "kube-provision-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Iterator[Path]:
    """Yield the cache folder while no other process makes the thing called `name`, which may be fetched from elsewhere."""
    folder = cache_folder()
    with (folder / f"{name}.lock").open("w") as lock, outside():
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
