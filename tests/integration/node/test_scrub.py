"""Scrubbing against the real cloud-init: no secret stays, and a reboot is no first boot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from servers.debian import require
from servers.nodes import put

SECRET = "the-private-key"
USER_DATA = f"#cloud-config\nwrite_files:\n- path: /nowhere\n  content: {SECRET}\nruncmd:\n- echo {SECRET}\n"


class Machine:
    def __init__(self, root: Path) -> None:
        self.root = root
        paths = {"cloud_dir": str(root / "var/lib/cloud"), "run_dir": str(root / "run/cloud-init")}
        settings = {
            "datasource_list": ["NoCloud"],
            "datasource": {"NoCloud": {"fs_label": None}},
            "system_info": {"distro": "debian", "paths": paths},
        }
        put(root / "cloud.cfg", json.dumps(settings))
        put(root / "var/lib/cloud/seed/nocloud/meta-data", "instance-id: iid-1\n")
        put(root / "var/lib/cloud/seed/nocloud/user-data", USER_DATA)

    def boot(self) -> str:
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "run/cloud-init").mkdir(parents=True)
        command = ["/usr/bin/python3", str(Path(__file__).with_name("cloud_init_boot.py"))]
        environment = os.environ | {"CLOUD_CFG": str(self.root / "cloud.cfg")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        put(self.root / "run/cloud-init/result.json", "{}")
        return done.stdout.strip()

    def scrub(self) -> None:
        program = f"import pathlib; from kube_provision_node import scrub; scrub.scrub(pathlib.Path({str(self.root)!r}))"
        subprocess.run([sys.executable, "-c", program], timeout=60, check=True)

    def telling(self) -> list[str]:
        """Files that hold the secret."""
        files = [path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink()]
        return [str(path.relative_to(self.root)) for path in files if SECRET.encode() in path.read_bytes()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    require("cloud-init")
    return Machine(tmp_path)


def test_no_secret_stays(machine: Machine) -> None:
    assert machine.boot() == "first boot"
    assert len(machine.telling()) > 3
    machine.scrub()
    assert machine.telling() == []


def test_a_reboot_after_it_is_no_first_boot(machine: Machine) -> None:
    machine.boot()
    machine.scrub()
    assert [machine.boot(), machine.telling()] == ["reboot", []]


def test_user_data_that_comes_back_with_a_boot_is_scrubbed_again(machine: Machine) -> None:
    """As it does on a hypervisor whose copy nobody has replaced yet."""
    machine.boot()
    machine.scrub()
    put(machine.root / "var/lib/cloud/seed/nocloud/user-data", USER_DATA)
    assert machine.boot() == "reboot"
    assert machine.telling() != []
    machine.scrub()
    assert machine.telling() == []
