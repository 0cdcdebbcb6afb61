"""What `status` tells of machines that this host reaches by ports of its own: real QEMU, machines without a system."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.debian import install
from servers.qemu import end_processes

from kube_provision_core.cli import main


@pytest.fixture
def config(tmp_path: Path) -> Iterator[list[str]]:
    """Options of a cluster whose disks are empty: its machines have addresses and ports, and nobody listens there."""
    install("qemu-system-x86", "qemu-utils")
    disk, vm_dir, file = tmp_path / "empty.qcow2", tmp_path / "vms", tmp_path / "config.yml"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"], check=True, timeout=60)
    file.write_text(
        f"name: home\ntarget: qemu\nqemu_accelerator: tcg\nos: debian\ntemplate: {disk}\nvm_dir: {vm_dir}\nmasters: 1\n"
    )
    yield ["--config", str(file), "--workers", "0", "--state", str(tmp_path / "state")]
    end_processes(vm_dir)


def test_ports_that_the_qemu_target_forwards_are_told_and_open(config: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*config, "--no-wait"]) == 0, capfd.readouterr().err
    capfd.readouterr()
    assert main(["status", *config, "-o", "json"]) == 0
    nodes = {node["name"]: node for node in json.loads(capfd.readouterr().out)["nodes"]}
    services = {name: {port["service"]: port["port"] for port in node["reach"]} for name, node in nodes.items()}
    assert services == {
        "consul-home": {"ssh": 22, "": 8500, "discovery": 8501},
        "m-home-1": {"ssh": 22, "etcd": 2379, "api-server": 6443},
    }
    for node in nodes.values():
        for port in node["reach"]:
            socket.create_connection((port["host"], port["host_port"]), timeout=5).close()
