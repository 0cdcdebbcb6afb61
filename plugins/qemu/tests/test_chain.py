"""What a disk builds on is part of what it is, and what keeps a machine from reading it is told before there is one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.qemu import boot, node

from kube_provision_core import TargetError
from kube_provision_qemu import chain, processes
from kube_provision_qemu import template as templates
from kube_provision_qemu.driver import Qemu
from kube_provision_qemu.template import Fingerprint

MakeDriver = Callable[..., Qemu]


def qemu_img(*arguments: str | Path) -> None:
    subprocess.run(["qemu-img", *arguments], check=True, capture_output=True, timeout=60)


@pytest.fixture
def layered(tmp_path: Path) -> Path:
    """top.qcow2 on middle.qcow2 on bottom.raw; the names are relative ones."""
    (tmp_path / "bottom.raw").write_bytes(bytes(1024**2))
    for above, below, kind in (("middle", "bottom.raw", "raw"), ("top", "middle.qcow2", "qcow2")):
        qemu_img("create", "-q", "-f", "qcow2", "-F", kind, "-b", below, tmp_path / f"{above}.qcow2")
    return tmp_path / "top.qcow2"


def test_all_files_of_a_disk_are_found(layered: Path) -> None:
    layers = chain.read(layered, "template")
    assert [layer.path.name for layer in layers] == ["top.qcow2", "middle.qcow2", "bottom.raw"]
    assert [layer.virtual_size for layer in layers] == [1024**2, 1024**2, 0]


def test_data_that_lies_apart_from_its_header_is_found(tmp_path: Path) -> None:
    disk = tmp_path / "apart.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path / 'apart.raw'}", disk, "1M")
    assert [layer.path.name for layer in chain.read(disk, "template")] == ["apart.qcow2", "apart.raw"]


@pytest.mark.parametrize("rewritten", ["top.qcow2", "middle.qcow2", "bottom.raw"])
def test_a_disk_is_another_one_when_any_of_its_files_is_rewritten(layered: Path, rewritten: str) -> None:
    before = templates.read(layered).fingerprint
    assert before.fits(templates.read(layered).fingerprint)
    os.utime(layered.with_name(rewritten), (1, 1))
    assert not before.fits(templates.read(layered).fingerprint)


@pytest.mark.parametrize(("rewritten", "fits"), [("bottom.raw", True), ("top.qcow2", False)])
def test_where_only_the_disk_itself_was_noted_only_that_is_compared(layered: Path, rewritten: str, fits: bool) -> None:
    """As for machines that earlier versions made."""
    now = templates.read(layered).fingerprint
    before = Fingerprint(now.size, now.changed_ns)
    os.utime(layered.with_name(rewritten), (1, 1))
    assert before.fits(templates.read(layered).fingerprint) == fits


@pytest.mark.integration
@pytest.mark.parametrize("rewritten", ["middle.qcow2", "bottom.raw"])
def test_a_machine_is_not_started_on_what_was_rewritten_below_its_template(
    make_driver: MakeDriver, layered: Path, rewritten: str
) -> None:
    driver, worker = make_driver(template=layered), node("w-home-1")
    made = driver.provision_vm(node=worker, boot=boot(worker))
    processes.kill(Path(made.id) / "pid")
    assert driver.provision_vm(node=worker, boot=boot(worker)) == made
    processes.kill(Path(made.id) / "pid")
    os.utime(layered.with_name(rewritten), (1, 1))
    with pytest.raises(TargetError, match=r"top.qcow2, or what that builds on, was changed after the machine was made"):
        driver.provision_vm(node=worker, boot=boot(worker))


@pytest.mark.parametrize("kind", ["aes", "luks"])
def test_an_encrypted_disk_is_told_by_plan(make_driver: MakeDriver, tmp_path: Path, kind: str) -> None:
    """`qemu-img` measures the processor for LUKS, and gives up where others need that too much: it is asked again then."""
    disk = tmp_path / "locked.qcow2"
    secret = ("--object", "secret,id=key,data=0pen-sesame")
    options = f"encrypt.format={kind},encrypt.key-secret=key" + (",encrypt.iter-time=10" if kind == "luks" else "")
    create = ["qemu-img", "create", "-q", *secret, "-f", "qcow2", "-o", options, disk, "1M"]
    tries = (subprocess.run(create, capture_output=True, timeout=60, check=False) for _ in range(10))
    assert any(it.returncode == 0 for it in tries)
    (line,) = _problems(make_driver(template=disk))
    assert line.startswith(f"template {disk}: {disk} is encrypted")


def test_a_disk_without_what_it_builds_on_is_told_by_plan(make_driver: MakeDriver, layered: Path) -> None:
    layered.with_name("bottom.raw").unlink()
    (line,) = _problems(make_driver(template=layered))
    assert f"{layered.with_name('middle.qcow2')} builds on {layered.with_name('bottom.raw')}, which is missing" in line


def test_a_disk_on_another_computers_is_told_by_plan(make_driver: MakeDriver, tmp_path: Path) -> None:
    disk = tmp_path / "far.qcow2"
    qemu_img("create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "nbd://127.0.0.1:1/disk", disk, "1M")
    (line,) = _problems(make_driver(template=disk))
    assert "builds on nbd://127.0.0.1:1/disk, which is no file of this host" in line


def test_a_circle_is_told(layered: Path) -> None:
    qemu_img("rebase", "-u", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "top.qcow2", layered.with_name("middle.qcow2"))
    with pytest.raises(TargetError, match="builds on itself"):
        chain.read(layered, "template")


def test_a_machine_whose_template_lost_what_it_builds_on_is_not_called_corrupt(
    make_driver: MakeDriver, layered: Path
) -> None:
    driver, worker = make_driver(template=layered), node("w-home-1")
    made = driver.provision_vm(node=worker, boot=boot(worker))
    processes.kill(Path(made.id) / "pid")
    layered.with_name("bottom.raw").unlink()
    with pytest.raises(TargetError, match=r"^w-home-1: its template .*bottom.raw, which is missing"):
        driver.provision_vm(node=worker, boot=boot(worker))


def _problems(driver: Qemu) -> list[str]:
    worker = node("w-home-1")
    return list(driver.preflight(machines=[(worker, boot(worker))]))
