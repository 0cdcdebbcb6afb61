"""What is wrong with this machine or its files is told in lines that say what to do; nothing is touched then."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from machines.lab import Run
from servers.debian import install
from servers.qemu import end_processes

from kube_provision_core.folder.store import Folder
from kube_provision_qemu import processes

PROGRAM = Path(sys.executable).with_name("kube-provision")
BAD_REQUEST, TROUBLE, PARTLY = 2, 3, 4


@dataclass
class Operator:
    folder: Path
    environment: dict[str, str]
    under: Sequence[str] = ()
    """What its program is run by."""

    @property
    def template(self) -> Path:
        return self.folder / "template.qcow2"

    def run(self, command: str, *arguments: str, **keys: Any) -> Run:
        document = {
            "name": "home",
            "target": "qemu",
            "os": "debian",
            "qemu_accelerator": "tcg",
            "template": str(self.template),
            "vm_dir": str(self.folder / "vms"),
            "masters": {"count": 1, "mem": 2},
            "workers": 0,
            "seed_manifests": [],
            **keys,
        }
        config = self.folder / "config.yml"
        config.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))
        state = [] if command == "validate" else ["--state", str(self.folder / "state")]
        line = [str(PROGRAM), command, "--config", str(config), *state, *arguments]
        done = subprocess.run(
            [*self.under, *line],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    def provision(self, **keys: Any) -> Run:
        return self.run("provision", "--no-wait", "--output", "json", **keys)

    def machines(self) -> list[str]:
        folder = self.folder / "vms/machines"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    install("qemu-system-x86", "qemu-utils")
    proxies = {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}
    environment = {name: value for name, value in os.environ.items() if name not in proxies}
    operator = Operator(tmp_path, environment | {"NO_COLOR": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")})
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", operator.template, "64M"], check=True, timeout=60)
    yield operator
    end_processes(tmp_path / "vms")


def refusal(run: Run) -> str:
    """The one line that says why nothing was done."""
    assert run.code == BAD_REQUEST, run.errors
    *notes, line = run.errors.splitlines()
    assert all(note.startswith("kube-provision: note: ") for note in notes), run.errors
    return line.removeprefix("kube-provision: ")


class TestARunForACluster:
    def test_without_qemu(self, operator: Operator) -> None:
        told = refusal(operator.provision(qemu_binary="/nowhere/qemu-system-x86_64"))
        assert told.startswith(
            "/nowhere/qemu-system-x86_64 is not installed (Debian: apt install qemu-system-x86 qemu-utils"
        )
        assert operator.machines() == []

    def test_with_a_qemu_that_is_too_old(self, operator: Operator) -> None:
        old = operator.folder / "qemu-system-x86_64"
        old.write_text("#!/bin/sh\necho 'QEMU emulator version 6.2.0'\n")
        old.chmod(0o755)
        assert "is QEMU 6.2; 7.2 or later is needed" in refusal(operator.provision(qemu_binary=str(old)))

    def test_without_a_template(self, operator: Operator) -> None:
        told = refusal(operator.provision(template="/nowhere/debian.qcow2"))
        assert told.startswith("template /nowhere/debian.qcow2 cannot be read: No such file or directory")

    def test_with_a_template_of_another_architecture(self, operator: Operator) -> None:
        manifest = {"format": 1, "architecture": "aarch64", "disk": operator.template.name}
        operator.template.with_suffix(".json").write_text(json.dumps(manifest))
        assert "is for aarch64, and " in refusal(operator.provision())
        assert operator.machines() == []

    def test_with_fewer_addresses_than_machines(self, operator: Operator) -> None:
        san = {"name": "san", "role": "storage", "static_ip": {"addresses": ["10.9.0.11/24"]}}
        masters = {"count": 3, "mem": 2, "networks": [{"name": "cluster", "role": "node"}, san]}
        lack = "networks[1].static_ip: has 1 address, and m-home-2 needs number 2, one of 3 machines: add 2"
        assert refusal(operator.run("validate", masters=masters)).endswith(f": {lack}")
        assert refusal(operator.provision(masters=masters)).endswith(f": {lack}")
        assert operator.machines() == []

    def test_in_a_network_of_a_host_that_has_none(self, operator: Operator) -> None:
        cards = [{"name": "cluster", "role": "node"}, {"name": "bridge:kp-none", "role": "storage"}]
        told = refusal(operator.provision(networks=cards))
        assert told.endswith("bridge:kp-none: this host has no interface kp-none: make it, or name another")
        assert ": networks[1].name: " in told
        assert operator.machines() == []

    def test_in_a_folder_without_space(self, operator: Operator) -> None:
        full = operator.folder / "full"
        full.mkdir()
        script = f'mount -t tmpfs -o size=100k tmpfs {full}; exec "$@"'
        operator.under = ("unshare", "--mount", "sh", "-ec", script, "sh")  # the mount ends with the program
        told = refusal(operator.provision(vm_dir=str(full)))
        assert f"vm_dir: {full} has 0.0 GiB left, and 2 new machine(s) need 4 at the least" in told

    def test_with_a_disk_that_is_corrupt(self, operator: Operator) -> None:
        assert operator.provision().code == 0
        end_processes(operator.folder / "vms")
        with (operator.folder / "vms/machines/m-home-1/boot.qcow2").open("r+b") as disk:
            disk.seek(0x10000)  # the table of reference counts
            disk.write(b"\xff" * 64)
        again = operator.provision()
        assert again.code == PARTLY
        states = {node["name"]: (node["state"], node["text"]) for node in again.data["nodes"]}
        assert states["consul-home"][0] == "done"
        assert "boot.qcow2 is corrupt" in states["m-home-1"][1]

    def test_after_everything_was_killed_as_by_a_reboot_of_this_host(self, operator: Operator) -> None:
        """Pid files are left behind; the numbers in them may be anybody's by now."""
        assert operator.provision().code == 0
        end_processes(operator.folder / "vms")
        for pid_file in operator.folder.glob("vms/*/*/*pid"):
            pid_file.write_text(f"{os.getpid()}\n")
        again = operator.provision()
        assert again.code == 0, again.errors
        assert again.states == {"consul-home": "done", "m-home-1": "done"}

    def test_after_the_switch_was_killed(self, operator: Operator) -> None:
        assert operator.provision().code == 0
        processes.kill(operator.folder / "vms/networks/home/switch.pid")
        assert operator.provision().code == 0

    def test_beside_another_one(self, operator: Operator) -> None:
        with Folder.lock(operator.folder / "state", "home"):
            told = refusal(operator.provision())
        assert f"(process {os.getpid()}" in told
        assert operator.machines() == []

    def test_for_a_folder_deeper_than_a_socket_path_is_long(self, operator: Operator) -> None:
        deep = operator.folder / "/".join(["a-long-name-of-a-folder"] * 8)
        try:
            run = operator.provision(vm_dir=str(deep))
            assert run.code == 0, run.errors
        finally:
            end_processes(deep)


class TestABake:
    def bake(self, operator: Operator, **keys: Any) -> Run:
        return operator.run("bake", "--progress", "plain", template=str(operator.folder / "images/baked.qcow2"), **keys)

    def test_of_nothing(self, operator: Operator) -> None:
        assert "the configuration does not say what to bake it from: write `bake_from: …`" in refusal(self.bake(operator))

    def test_of_an_unknown_release(self, operator: Operator) -> None:
        told = refusal(self.bake(operator, bake_from="debian-11"))
        assert "bake_from: Debian 11 is not built here; 12 and 13 are" in told

    def test_of_a_file_that_is_not_there(self, operator: Operator) -> None:
        told = refusal(self.bake(operator, bake_from="/nowhere/cloud.qcow2"))
        assert told.partition(": ")[2] == "bake_from: /nowhere/cloud.qcow2 cannot be read: No such file or directory"

    def test_of_debian_without_mmdebstrap(self, operator: Operator) -> None:
        programs = operator.folder / "programs"
        programs.mkdir()
        for name in ("qemu-system-x86_64", "qemu-img"):
            (programs / name).symlink_to(shutil.which(name) or "")
        operator.environment["PATH"] = str(programs)
        told = refusal(self.bake(operator, bake_from="debian-13"))
        assert "bake_from: Debian is built by mmdebstrap, which is not installed (Debian: apt install mmdebstrap)" in told

    def test_in_place_of_somebody_elses_file(self, operator: Operator) -> None:
        before = operator.template.read_bytes()
        told = refusal(operator.run("bake", bake_from="debian-13"))
        assert f"{operator.template} exists and was not made by bake; it is left alone" in told
        assert operator.template.read_bytes() == before

    def test_of_a_url_without_a_checksum(self, operator: Operator) -> None:
        assert "bake_from_checksum is missing" in refusal(
            self.bake(operator, bake_from="https://cloud.example/debian.qcow2")
        )

    def test_of_a_url_out_of_reach(self, operator: Operator) -> None:
        digest = hashlib.sha256(b"").hexdigest()
        run = self.bake(operator, bake_from="http://127.0.0.1:9/debian.qcow2", bake_from_checksum=f"sha256:{digest}")
        assert run.code == TROUBLE
        assert "http://127.0.0.1:9/debian.qcow2 cannot be downloaded: " in run.output

    def test_of_a_file_with_another_checksum(self, operator: Operator) -> None:
        run = self.bake(operator, bake_from=str(operator.template), bake_from_checksum=f"sha256:{'0' * 64}")
        assert run.code == TROUBLE
        assert "and bake_from_checksum says 0000" in run.output
        assert not (operator.folder / "images").exists()
