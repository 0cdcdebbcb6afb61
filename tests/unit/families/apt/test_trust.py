"""The step that trusts a site's authorities, with the system's own tool and without it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kube_provision_core import Stage
from kube_provision_debian.driver import Debian


@pytest.mark.parametrize("with_tool", [True, False])
def test_a_sites_authorities_take_the_place_of_earlier_ones(with_tool: bool, tmp_path: Path) -> None:
    own, folder = tmp_path / "usr/local/share/ca-certificates", tmp_path / "etc/kube-provision/the site's"
    tool = tmp_path / "bin/update-ca-certificates"
    for path, text in {
        own / "kube-provision-9.crt": "old\n",
        own / "own.crt": "own\n",
        folder / "kube-provision-1.crt": "new\n",
        tool: f"#!/bin/sh\necho $* >>{tmp_path}/asked\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    tool.chmod(0o755)
    step = Debian({}).trust_authorities("/etc/kube-provision/the site's")
    script = step.script.replace("/etc/", f"{tmp_path}/etc/").replace("=/usr/", f"={tmp_path}/usr/")
    path = [str(tmp_path / "bin")] if with_tool else []
    commands = tmp_path / "commands"
    commands.mkdir()
    for name in ("cat", "cp", "mkdir", "rm"):
        (commands / name).symlink_to(Path("/usr/bin") / name)
    environment = {**os.environ, "PATH": ":".join([*path, str(commands)])}
    for _ in range(2):
        subprocess.run(["/bin/bash", "-euo", "pipefail", "-c", script], env=environment, check=True, timeout=60)
    assert step.stage is Stage.PREPARE
    assert {path.name: path.read_text() for path in own.iterdir()} == {"kube-provision-1.crt": "new\n", "own.crt": "own\n"}
    bundle = tmp_path / "etc/ssl/certs/ca-certificates.crt"
    if with_tool:
        assert (tmp_path / "asked").read_text() == "--fresh\n" * 2
    else:
        assert bundle.read_text() == "new\nown\n"
