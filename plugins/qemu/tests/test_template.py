"""Templates: what is read from a disk and its manifest, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kube_provision_core import TargetError
from kube_provision_qemu import template as templates


@pytest.fixture
def disk(template: Path, tmp_path: Path) -> Path:
    """A copy that a test may put a manifest beside."""
    copy = tmp_path / "debian-13.qcow2"
    copy.write_bytes(template.read_bytes())
    return copy


def write_manifest(disk: Path, **fields: object) -> None:
    disk.with_suffix(".json").write_text(json.dumps({"format": 1, "architecture": "x86_64", "disk": disk.name, **fields}))


def test_a_disk_without_a_manifest_boots_by_firmware(disk: Path) -> None:
    read = templates.read(disk)
    assert (read.virtual_size, read.architecture, read.kernel) == (64 * 1024**2, None, None)


def test_a_manifest_names_the_kernel_beside_the_disk(disk: Path) -> None:
    kernel, initrd = disk.with_suffix(".vmlinuz"), disk.with_suffix(".initrd")
    kernel.touch()
    initrd.touch()
    write_manifest(disk, kernel=kernel.name, initrd=initrd.name, contents={"kubeadm": "1.36.4"})
    read = templates.read(disk)
    assert (read.architecture, read.kernel, read.initrd) == ("x86_64", kernel, initrd)
    assert read.contents == {"kubeadm": "1.36.4"}


def test_what_was_written_is_read(disk: Path) -> None:
    kernel = disk.with_suffix(".vmlinuz")
    kernel.touch()
    written = replace(
        templates.read(disk), architecture="aarch64", kernel=kernel, command_line="root=/dev/vda1", contents={"a": 1}
    )
    templates.write_manifest(written)
    assert templates.read(disk) == written


def test_a_link_leads_to_the_disk_that_it_names_now(disk: Path, tmp_path: Path) -> None:
    link = tmp_path / "current.qcow2"
    link.symlink_to(disk)
    write_manifest(disk, command_line="of the disk")
    read = templates.read(link)
    assert (read.disk, read.command_line) == (disk, "of the disk")


def test_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"nowhere.qcow2 cannot be read: No such file"):
        templates.read(tmp_path / "nowhere.qcow2")


def test_another_kind_of_image_is_refused(tmp_path: Path) -> None:
    raw = tmp_path / "debian.raw"
    raw.write_bytes(bytes(4096))
    with pytest.raises(TargetError, match=r"debian.raw is no qcow2 image; make one: qemu-img convert"):
        templates.read(raw)


def test_a_manifest_that_is_damaged_is_told(disk: Path) -> None:
    disk.with_suffix(".json").write_text('{"format": 1,')
    with pytest.raises(TargetError, match=r"manifest cannot be read .* bake the template again"):
        templates.read(disk)


def test_a_manifest_of_a_later_version_is_refused(disk: Path) -> None:
    write_manifest(disk, format=2)
    with pytest.raises(TargetError, match="later version of kube-provision-qemu: upgrade it"):
        templates.read(disk)


def test_a_missing_kernel_is_told(disk: Path) -> None:
    write_manifest(disk, kernel="gone.vmlinuz")
    with pytest.raises(TargetError, match=r"its kernel .*gone.vmlinuz is missing; bake the template again"):
        templates.read(disk)
