"""Whole command lines with the configuration of 2019, as its users wrote it: `vmrun` is found on PATH."""

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
TEMPLATE = "debian arm.vmx" if platform.machine() in ("aarch64", "arm64") else "ubuntu_base.vmx"
LIMIT = 60.0

pytestmark = pytest.mark.e2e


@pytest.fixture
def template(vmware: Vmware) -> Path:
    """For this computer; the product is Workstation, for this is no Mac. Nobody has the addresses."""
    vmware.be(product="ws", network="192.0.2")
    return vmware.add_template(TEMPLATE)


def write_config(vmware: Vmware, template: Path, more: str = "") -> Path:
    path = vmware.root / "config.yml"
    path.write_text(
        "os: ubuntu\n"
        "consul_bind_interface: ens33\n"
        "target: vmware-fusion\n"
        f"template: {template}\n"
        f"vm_dir: {vmware.vm_dir}/\n"
        f"{more}"
    )
    return path


@pytest.fixture
def start(vmware: Vmware) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [str(PROGRAM), *arguments, "--config", "config.yml", "--name", "prod", "--state", "state"]
        path = f"{vmware.program.parent}:{os.environ['PATH']}"
        process = subprocess.Popen(
            command,
            cwd=vmware.root,
            env={**os.environ, "PATH": path, "NO_COLOR": "1"},
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
    write_config(vmware, template)
    counts = ("--masters", "1", "--workers", "1")
    succeed(start(*counts, "--no-wait"))
    assert sorted(vmware.running()) == ["consul-prod", "m-prod-1", "w-prod-1"]
    assert "nothing to change" in succeed(start(*counts, "--no-wait"))
    succeed(start("destroy", "--yes"))
    assert vmware.running() == {}
    assert [path.name for path in vmware.vm_dir.iterdir() if "prod" in path.name] == []


def test_its_template_is_baked(vmware: Vmware, template: Path, start: Start) -> None:
    write_config(vmware, vmware.vm_dir / "kube-1.36" / "kube-1.36.vmx", f"bake_from: {template}\n")
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
    succeed(start("--masters", "1", "--workers", "0", "--no-wait"))
    assert "m-prod-1" in vmware.running()


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
