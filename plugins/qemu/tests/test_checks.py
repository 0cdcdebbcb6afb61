"""What preflight finds before the first machine is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.qemu import boot, node

from kube_provision_core import HostMemory, Node, Role
from kube_provision_qemu import checks, processes
from kube_provision_qemu.driver import Qemu

MakeDriver = Callable[..., Qemu]

WORKERS = [node("w-home-1"), node("w-home-2", index=2)]


def problems(driver: Qemu, nodes: list[Node] = WORKERS) -> list[str]:
    return list(driver.preflight(machines=[(each, boot(each)) for each in nodes]))


def test_nothing_is_wrong_with_what_works(driver: Qemu) -> None:
    assert problems(driver) == []


def test_a_missing_qemu_and_a_missing_template_are_told_at_once(make_driver: MakeDriver, tmp_path: Path) -> None:
    found = problems(make_driver(qemu_binary="qemu-system-nowhere", template=tmp_path / "gone.qcow2"))
    assert [line.split()[0] for line in found] == ["qemu-system-nowhere", "template"]


def test_a_template_of_another_architecture_is_told(make_driver: MakeDriver, template: Path, tmp_path: Path) -> None:
    disk = tmp_path / "arm.qcow2"
    disk.write_bytes(template.read_bytes())
    disk.with_suffix(".json").write_text(json.dumps({"format": 1, "architecture": "aarch64"}))
    (line,) = problems(make_driver(template=disk))
    assert "arm.qcow2 is for aarch64, and " in line
    assert "or set qemu_binary to qemu-system-aarch64" in line


def test_too_little_space_is_told(driver: Qemu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SPACE_PER_MACHINE", 2**60)
    (line,) = problems(driver)
    assert line.startswith("vm_dir: ")
    assert "2 new machine(s) need 2147483648 at the least" in line


def test_a_disk_smaller_than_its_template_is_told_once(
    make_driver: MakeDriver, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "GIB", 1024**2)
    small = [node("w-home-1", boot_disk_gib=63), node("w-home-2", index=2, boot_disk_gib=63)]
    (line,) = problems(make_driver(), small)
    assert line.startswith("boot_disk_size: 63 GiB is less than the 64.0 GiB of template")


def test_each_role_is_checked_with_its_own_template(tmp_path: Path, template: Path, make_driver: MakeDriver) -> None:
    driver = make_driver()
    config = {role: driver.Config(template=tmp_path / f"{role}.qcow2", qemu_accelerator="tcg") for role in Role}
    found = problems(Qemu(config), [node("m-home-1", Role.MASTER), *WORKERS])
    assert [("master.qcow2" in line, "worker.qcow2" in line) for line in found] == [(True, False), (False, True)]


def test_more_memory_than_this_host_has_is_told(driver: Qemu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "host_memory", lambda: HostMemory(1024**3))
    assert problems(driver, WORKERS[:1]) == []
    (line,) = problems(driver)
    assert line.startswith("mem: the machines that are to be made want 2 GiB of memory; this host has 1.0 GiB in all. ")


@pytest.mark.integration
def test_what_machines_of_other_clusters_have_counts_while_they_run(driver: Qemu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "host_memory", lambda: HostMemory(2 * 1024**3))
    other = node("w-other-1", cluster="other")
    made = driver.provision_vm(node=other, boot=boot(other))
    (line,) = problems(driver)
    assert "want 2 GiB of memory, and 1 GiB are taken by machines that there are already" in line
    processes.kill(Path(made.id) / "pid")
    assert problems(driver) == []
