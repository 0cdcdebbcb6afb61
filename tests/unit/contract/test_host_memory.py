"""How much memory this host has, and what is told of machines that want more."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from kube_provision_core import HostMemory, host_memory

GIB = 1024**3


def host(root: Path, *, total: int, available: int, group: str = "", limits: dict[str, str] | None = None) -> HostMemory:
    (root / "proc/self").mkdir(parents=True)
    lines = f"MemTotal:  {total // 1024} kB\nMemAvailable: {available // 1024} kB\nHugePages_Total:       0\n"
    (root / "proc/meminfo").write_text(lines)
    (root / "proc/self/cgroup").write_text(f"0::/{group}\n")
    for folder, limit in (limits or {}).items():
        (root / "sys/fs/cgroup" / folder).mkdir(parents=True, exist_ok=True)
        (root / "sys/fs/cgroup" / folder / "memory.max").write_text(f"{limit}\n")
    return host_memory(root)


def test_of_this_host_is_more_than_nothing() -> None:
    found = host_memory()
    assert 0 < found.total <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert found.free


def test_is_what_the_system_says(tmp_path: Path) -> None:
    assert host(tmp_path, total=8 * GIB, available=3 * GIB) == HostMemory(8 * GIB, 3 * GIB)


def test_in_a_container_is_what_that_may_use(tmp_path: Path) -> None:
    found = host(tmp_path, total=64 * GIB, available=50 * GIB, group="a/b", limits={"a": str(4 * GIB), "a/b": "max"})
    assert found == HostMemory(4 * GIB, 4 * GIB)


def test_elsewhere_than_on_linux_only_the_sum_is_known(tmp_path: Path) -> None:
    assert host_memory(tmp_path) == HostMemory(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def test_machines_that_want_more_than_there_is_are_refused() -> None:
    (line,) = HostMemory(8 * GIB, 8 * GIB).problems(14)
    assert line.startswith("mem: the machines that are to be made want 14 GiB of memory; this host has 8.0 GiB in all. ")


def test_what_machines_have_already_counts() -> None:
    assert list(HostMemory(8 * GIB, 8 * GIB).problems(6, 2)) == []
    (line,) = HostMemory(8 * GIB, 8 * GIB).problems(6, 3)
    assert "and 3 GiB are taken by machines that there are already" in line


def test_machines_that_have_to_be_made_room_for_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert list(HostMemory(8 * GIB, 2 * GIB).problems(4)) == []
    assert "want 4 GiB of memory, and 2.0 GiB of this host's are free now" in caplog.text
    caplog.clear()
    assert list(HostMemory(8 * GIB).problems(4)) == []
    assert caplog.text == ""
