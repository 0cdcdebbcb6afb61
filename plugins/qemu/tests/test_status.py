"""The status channel: whatever a guest writes, the last whole status counts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from servers.debian import require

from kube_provision_core import NodeStatus, Stage
from kube_provision_qemu import driver, status

RUNNING = '{"stage": "join", "state": "running", "error": ""}\n'


@pytest.mark.parametrize(
    "written",
    [
        RUNNING,
        RUNNING + "not json\n",
        RUNNING + "[1, 2]\n",
        RUNNING + '{"stage": "elsewhere", "state": "running"}\n',
        RUNNING + '{"stage": "join", "state": "perhaps"}\n',
        RUNNING + '{"stage": "join", "state": "failed", "error": 7}\n',
        RUNNING + '{"stage": "finish", "state": "do',
        "x" * 100_000 + "\n" + RUNNING + "\0\xff\n",
    ],
)
def test_the_last_status_is_found(tmp_path: Path, written: str) -> None:
    (tmp_path / "status").write_text(written, encoding="latin-1")
    assert status.last(tmp_path / "status") == NodeStatus(Stage.JOIN, "running")


@pytest.mark.parametrize("written", [None, "", "nothing of ours\n", "[" * 10_000 + "\n"])
def test_no_status_is_none(tmp_path: Path, written: str | None) -> None:
    if written is not None:
        (tmp_path / "status").write_text(written)
    assert status.last(tmp_path / "status") is None


def test_the_publisher_is_a_clean_shell_script() -> None:
    require("shellcheck")
    script = Path(driver.__file__).parent / "node" / "publish"
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
