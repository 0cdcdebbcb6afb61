"""A Debian template from packages alone, baked at a site that has mirrors and archives: what is in it, and what is not."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from machines.template import IMAGES, BakedTemplate, baked_template

PROGRAM = Path(sys.executable).with_name("kube-provision")


@dataclass(frozen=True)
class Baked:
    template: BakedTemplate
    raw: Path
    """A copy of its disk, to look into."""

    @property
    def manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.template.disk.resolve().with_suffix(".json").read_text())
        return document

    def look(self, command: str) -> str:
        """What debugfs says to a command."""
        said = subprocess.run(
            ["/usr/sbin/debugfs", "-R", command, str(self.raw)], capture_output=True, text=True, check=True, timeout=60
        )
        return said.stdout

    def names(self, folder: str) -> set[str]:
        rows = (line.split("/") for line in self.look(f"ls -p {folder}").splitlines() if line.startswith("/"))
        return {row[5] for row in rows} - {".", ".."}


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Baked:
    template, raw = baked_template(), tmp_path_factory.mktemp("baked") / "look.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", template.disk, raw], check=True, timeout=300)
    return Baked(template, raw)


def test_the_template_is_known_by_what_is_in_it(baked: Baked) -> None:
    contents = baked.manifest["contents"]
    assert contents["versions"]["kubeadm"] == "1.37.1-1.1"
    assert contents["versions"].keys() >= {"containerd", "consul", "nginx", "jq", "qemu-guest-agent"}
    assert contents["images"] == list(IMAGES)
    assert contents["system"].startswith("Debian GNU/Linux 13")


def test_its_kernel_lies_beside_it(baked: Baked) -> None:
    manifest = baked.manifest
    assert all((baked.template.disk.parent / manifest[key]).stat().st_size > 1024**2 for key in ("kernel", "initrd"))


def test_a_second_run_has_nothing_to_do(baked: Baked, tmp_path: Path) -> None:
    before = sorted(baked.template.disk.parent.iterdir())
    state = ("--state", str(tmp_path), "-e", f"vm_dir={tmp_path}/vms")
    command = [str(PROGRAM), "bake", *baked.template.options, *state]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "holds what is wanted" in ran.stderr
    assert sorted(baked.template.disk.parent.iterdir()) == before


def test_the_sites_mirrors_and_archives_were_used(baked: Baked) -> None:
    assert any("kubeadm_1.37.1" in path for path in baked.template.packages_served)
    assert baked.template.images_served == ("/images.tar",)


def test_machines_know_what_was_imported(baked: Baked) -> None:
    assert baked.look("cat /var/lib/containerd/kube-provision-imported").startswith("k8s.io http://10.0.2.2:")


def test_it_knows_what_is_in_it_itself(baked: Baked) -> None:
    assert json.loads(baked.look("cat /etc/kube-provision/baked.json")) == baked.manifest["contents"]
    assert baked.names("/etc/kube-provision") == {"baked.json"}


def test_it_has_no_identity(baked: Baked) -> None:
    assert baked.look("cat /etc/machine-id") == ""
    assert not [name for name in baked.names("/etc/ssh") if name.startswith("ssh_host_")]
    assert "random-seed" not in baked.names("/var/lib/systemd")
    assert baked.names("/var/log/journal") == set()
    assert not baked.names("/etc/systemd/network")


def test_nobody_can_log_in(baked: Baked) -> None:
    """Users come with a machine's own boot data; the one that cloud-init makes by itself has neither password nor key."""
    passwords = {line.split(":")[0]: line.split(":")[1] for line in baked.look("cat /etc/shadow").splitlines()}
    assert [name for name, password in passwords.items() if not password.startswith(("!", "*"))] == []
    homes = ["/root", *(f"/home/{name}" for name in baked.names("/home"))]
    assert [home for home in homes if baked.look(f"cat {home}/.ssh/authorized_keys")] == []


def test_it_remembers_no_boot(baked: Baked) -> None:
    """Neither cloud-init's nor ours: a machine's first boot is a first one, and runs every step."""
    assert baked.names("/var/lib/cloud") <= {"seed"}
    assert "kube-provision" not in baked.names("/usr/local/lib") | baked.names("/var/lib")
    assert not [name for name in baked.names("/etc/systemd/system") if name.startswith("kube-provision")]


def test_caches_are_empty(baked: Baked) -> None:
    assert baked.names("/var/lib/apt/lists") <= {"lock", "partial", "auxfiles"}
    assert not [name for name in baked.names("/var/cache/apt/archives") if name.endswith(".deb")]
    assert baked.names("/var/tmp") == set()
