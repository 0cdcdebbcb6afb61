"""The memory of the computer that this program runs on, for targets whose machines run there too."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GIB = 1024**3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HostMemory:
    """In bytes."""

    total: int
    """Of the computer, or of the container that this program is confined to."""
    free: int | None = None
    """What could be used now without taking it from others; None where the system does not say."""

    def problems(self, new_gib: int, running_gib: int = 0) -> Iterator[str]:
        """A line, for `preflight`, where machines of `new_gib` in sum cannot be had beside those that run already.

        A warning is logged where they can, but others have to give up memory for them.
        """
        wanted = new_gib + running_gib
        if wanted * GIB > self.total:
            beside = f", and {running_gib} GiB are taken by machines that there are already" if running_gib else ""
            yield (
                f"mem: the machines that are to be made want {new_gib} GiB of memory{beside}; this host has "
                f"{self.total / GIB:.1f} GiB in all. Make fewer, or give them less (mem, also under masters: and workers:)"
            )
        elif self.free is not None and new_gib * GIB > self.free:
            log.warning(
                "the machines that are to be made want %d GiB of memory, and %.1f GiB of this host's are free now: close "
                "something, or give them less (mem)",
                *(new_gib, self.free / GIB),
            )


def host_memory(root: Path = Path("/")) -> HostMemory:
    """As it is now. `root`: where /proc and /sys lie."""
    told = _meminfo(root / "proc/meminfo")
    if "MemTotal" not in told:
        return HostMemory(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    limit = min([told["MemTotal"], *_limits(root)])
    return HostMemory(limit, min(limit, told.get("MemAvailable", limit)))


def _meminfo(path: Path) -> dict[str, int]:
    """Nothing on systems that are not Linux."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(size) * 1024 for name, size, _ in fields}


def _limits(root: Path) -> Iterator[int]:
    """Those of the control groups that this process is in (version 2), up to the outermost one that it sees."""
    mounted = root / "sys/fs/cgroup"
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    own = next((group.removeprefix("0::/") for group in groups if group.startswith("0::/")), "")
    for folder in (mounted / own, *(mounted / own).parents):
        if folder != mounted and mounted not in folder.parents:
            return
        try:
            yield int((folder / "memory.max").read_text())
        except (OSError, ValueError):  # no limit is `max`
            continue
