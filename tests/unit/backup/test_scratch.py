"""A folder for secrets is gone with whoever used it, and at the latest with the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kube_provision_core.backup.scratch import scratch
from kube_provision_core.contract.kept_files import wait_for_lock

LONG_AGO = 1_000_000_000
KILLED = """
import time
from kube_provision_core.backup.scratch import scratch

with scratch() as place:
    (place.folder / "snapshot.db").write_text("secret")
    print(place.folder, place.group, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_it_goes_with_the_context_and_is_its_owners_alone(tmp_path: Path) -> None:
    with scratch() as place:
        assert place.folder.parent == tmp_path
        assert place.folder.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


def test_one_whose_guard_was_killed_too_goes_with_the_next_one(tmp_path: Path) -> None:
    """As systemd kills a unit."""
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        folder, group = process.stdout.readline().split()
        os.killpg(int(group), signal.SIGKILL)
        process.kill()
    await_nobody(folder)
    assert (Path(folder) / "snapshot.db").read_text() == "secret"
    os.utime(folder, (LONG_AGO, LONG_AGO))
    with scratch():
        assert not Path(folder).exists()


def await_nobody(folder: str) -> None:
    """Whoever was killed holds it until it has ended, and is not ours to wait for."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        wait_for_lock(descriptor, folder, timeout=60)
    finally:
        os.close(descriptor)


def test_one_that_is_used_stays_and_so_does_what_is_not_ours(tmp_path: Path) -> None:
    other, link = tmp_path / "other", tmp_path / "kube-provision-secret-link"
    other.mkdir()
    link.symlink_to(other)
    with scratch() as place:
        os.utime(place.folder, (LONG_AGO, LONG_AGO))
        with scratch():
            assert place.folder.exists()
    assert sorted(tmp_path.iterdir()) == [link, other]
