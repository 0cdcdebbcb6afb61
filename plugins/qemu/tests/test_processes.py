"""Ending processes, and only those that are meant."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from kube_provision_qemu import files

KILL = """
import sys
from pathlib import Path
from kube_provision_core import TargetError
from kube_provision_qemu import files, processes
path = Path(sys.argv[1])
try:
    processes.kill(path)
except TargetError as refused:
    print(files.holder(path), refused)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PID namespaces are Linux's")
def test_a_process_of_another_pid_namespace_is_not_signalled(tmp_path: Path) -> None:
    """Its number is 0 there, and a signal to 0 would end whoever sends it."""
    path = tmp_path / "pid"
    with path.open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        ended = subprocess.run(
            ["unshare", "--map-root-user", "--pid", "--fork", sys.executable, "-c", KILL, path],
            capture_output=True,
            text=True,
            timeout=60,
            start_new_session=True,
        )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"0 {path}: the process that locks it is in another PID namespace")


def test_nobody_holds_what_is_not_locked(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1")
    assert files.holder(tmp_path / "pid") is None
