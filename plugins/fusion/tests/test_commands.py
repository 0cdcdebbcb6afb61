"""Whole command lines with the configuration of 2019, as its users wrote it: `vmrun` is found on PATH.

Paths differ where machines are made; nobody has these ones here.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from servers.vmware import Vmware

PROGRAM = Path(sys.executable).with_name("kube-provision")
FOR_INTEL, FOR_ARM = "ubuntu_base.vmx", "debian arm.vmx"
TEMPLATE, FOREIGN_TEMPLATE = (FOR_ARM, FOR_INTEL) if platform.machine() in ("aarch64", "arm64") else (FOR_INTEL, FOR_ARM)
LIMIT = 60.0

OF_2019 = """\
os: ubuntu
consul_bind_interface: ens33
target: vmware-fusion
template: /Users/home/Virtual Machines.localized/ubuntu_base.vmwarevm/ubuntu_base.vmx
vm_dir: /Users/home/Virtual Machines.localized/
"""

pytestmark = pytest.mark.e2e


@pytest.fixture
def template(vmware: Vmware) -> Path:
    """For this computer; the product is Workstation, for this is no Mac. Nobody has the addresses."""
    vmware.be(product="ws", network="192.0.2")
    return vmware.add_template(TEMPLATE)


def write_config(vmware: Vmware, template: Path, *more: str) -> None:
    path = vmware.root / "config.yml"
    lines = [*OF_2019.splitlines()[:3], f"template: {template}", f"vm_dir: {vmware.vm_dir}/", *more]
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def start(vmware: Vmware) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [str(PROGRAM), *arguments, "--config", "config.yml"]
        path = f"{vmware.program.parent}:{os.environ['PATH']}"
        process = subprocess.Popen(
            command,
            cwd=vmware.root,
            env={**os.environ, "PATH": path, "XDG_STATE_HOME": str(vmware.root / "state"), "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


Start = Callable[..., subprocess.Popen[str]]


def succeed(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, errors
    return output + errors


def test_a_cluster_is_made_and_destroyed(vmware: Vmware, template: Path, start: Start) -> None:
    write_config(vmware, template, "mem: 1", "masters: {mem: 2}")
    command = ("--masters", "3", "--workers", "3", "--name", "cluster-name", "--no-wait")
    succeed(start(*command))
    machines = [f"{label}-cluster-name-{index}" for label in "mw" for index in (1, 2, 3)]
    assert sorted(vmware.running()) == ["consul-cluster-name", *machines]
    assert "nothing to change" in succeed(start(*command))
    succeed(start("destroy", "--name", "cluster-name", "--yes"))
    assert vmware.running() == {}
    assert list(vmware.vm_dir.glob("*cluster-name*")) == []


def test_the_configuration_of_2019_works_word_for_word(vmware: Vmware, start: Start) -> None:
    (vmware.root / "config.yml").write_text(OF_2019)
    command = ("--masters", "3", "--workers", "3", "--name", "cluster-name", "--consul-ip=10.200.200.1")
    succeed(start("validate", *command[:6]))
    succeed(start("render", *command, "boot"))
    (discovery,) = (vmware.root / "boot" / "w-cluster-name-1").rglob("node.json")
    assert json.loads(discovery.read_text())["discovery_address"] == "10.200.200.1"


def test_a_template_for_another_architecture_is_told_by_plan(vmware: Vmware, template: Path, start: Start) -> None:
    write_config(vmware, vmware.add_template(FOREIGN_TEMPLATE))
    process = start("plan", "--name", "prod")
    _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 2
    assert "and this computer runs " in errors
    assert "Traceback" not in errors


def test_its_template_is_baked(vmware: Vmware, template: Path, start: Start) -> None:
    write_config(vmware, vmware.vm_dir / "kube-1.36" / "kube-1.36.vmx", f"bake_from: {template}")
    process = start("bake", "--progress", "plain", "--output", "json")
    until(lambda: "kube-1.36" in vmware.running())
    baked = {"spec": spec_in_boot_data(vmware), "date": "2026-11-27T10:00:00Z", "versions": {"kubeadm": "1.36.4-1.1"}}
    status = {"stage": "finish", "state": "done", "error": "", "baked": baked}
    vmware.publish("kube-1.36", **{"kube-provision.status": json.dumps(status)})
    output, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, errors
    (made,) = json.loads(output)["templates"]
    assert made["baked"]["versions"] == {"kubeadm": "1.36.4-1.1"}
    assert "holds what is wanted (2026-11-27: kubeadm 1.36.4-1.1)" in succeed(start("bake"))
    succeed(start("--name", "prod", "--masters", "1", "--workers", "0", "--no-wait"))
    assert "m-prod-1" in vmware.running()


def test_a_bake_that_was_killed_while_vmrun_cloned_is_begun_anew(vmware: Vmware, template: Path, start: Start) -> None:
    """vmrun goes on, and its clone is not touched before it has ended."""
    write_config(vmware, vmware.vm_dir / "kube-1.36" / "kube-1.36.vmx", f"bake_from: {template}")
    vmware.be(clone_seconds=5)
    killed = start("bake", "--progress", "plain")
    until(lambda: any((vmware.state / "cloning").iterdir()))
    killed.kill()
    killed.communicate(timeout=LIMIT)
    (left,) = vmware.vm_dir.glob("kube-1.36.2*")
    start("bake", "--progress", "plain")
    until(lambda: "kube-1.36" in vmware.running())
    first, second = vmware.calls("clone")
    assert first["ended"] < second["begun"]
    assert not left.exists()


def spec_in_boot_data(vmware: Vmware) -> str:
    """What the machine finds in its boot data."""
    (version,) = vmware.vm_dir.glob("kube-1.36.2*")
    data = yaml.safe_load(vmware.boot_data_of(version / "kube-1.36.vmx"))
    files = {entry["path"]: entry["content"] for entry in data["write_files"]}
    found = re.search(r"^    ([0-9a-f]{12}) \"\$\(date", files["/usr/local/lib/kube-provision/bake.sh"], re.MULTILINE)
    assert found
    return found[1]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
