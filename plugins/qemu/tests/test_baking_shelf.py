"""Finished templates: one link, several disks, none that a machine may build on is ever changed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kube_provision_core import UNFINISHED, Baked, TargetError, replace_link
from kube_provision_qemu import template as templates
from kube_provision_qemu.baking import shelf

OLD = Baked("aaaabbbbcccc", "2026-11-27T10:00:00Z", "Debian 13", {"kubeadm": "1.36.4-1.1"})
NEW = replace(OLD, spec="ddddeeeeffff", date="2026-12-01T10:00:00Z")
QEMU_IMG = Path(shutil.which("qemu-img") or "qemu-img")


@pytest.fixture
def made(template: Path, tmp_path: Path) -> templates.Template:
    """What a machine has baked: a disk with a kernel beside it."""
    (tmp_path / "machine").mkdir()
    disk = tmp_path / "machine/boot.qcow2"
    shutil.copy(template, disk)
    for ending in (".vmlinuz", ".initrd"):
        disk.with_suffix(ending).write_text(ending)
    read = templates.read(disk)
    return replace(read, architecture="x86_64", kernel=disk.with_suffix(".vmlinuz"), initrd=disk.with_suffix(".initrd"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "images/debian-13.qcow2"


def test_the_path_leads_to_the_finished_disk(made: templates.Template, path: Path) -> None:
    shelf.publish(QEMU_IMG, made, OLD, path)
    read = templates.read(path)
    assert read.disk.name == "debian-13.20261127T100000Z.qcow2"
    assert (read.architecture, read.virtual_size) == ("x86_64", made.virtual_size)
    assert read.kernel is not None
    assert read.kernel.read_text() == ".vmlinuz"
    assert shelf.current(path) == OLD


def test_an_earlier_disk_stays_for_its_machines(made: templates.Template, path: Path) -> None:
    first = shelf.publish(QEMU_IMG, made, OLD, path)
    content = first.read_bytes()
    shelf.publish(QEMU_IMG, made, NEW, path)
    assert shelf.current(path) == NEW
    assert first.read_bytes() == content
    assert templates.read(first).contents["spec"] == OLD.spec


def test_a_disk_that_cannot_be_copied_leaves_the_earlier_one(made: templates.Template, path: Path, tmp_path: Path) -> None:
    shelf.publish(QEMU_IMG, made, OLD, path)
    with pytest.raises(TargetError):
        shelf.publish(QEMU_IMG, replace(made, disk=tmp_path / "nothing"), NEW, path)
    assert shelf.current(path) == OLD
    assert not list(path.parent.glob(".*"))


@pytest.mark.parametrize(
    "fails",
    ["shutil.copyfile", "kube_provision_qemu.template.write_manifest", "kube_provision_qemu.baking.shelf.replace_link"],
)
def test_nothing_half_done_stays_where_the_disk_is_full(
    made: templates.Template, path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    first = shelf.publish(QEMU_IMG, made, OLD, path)
    before = sorted(path.parent.iterdir())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(fails, full)
        with pytest.raises(OSError, match="No space left"):
            shelf.publish(QEMU_IMG, made, NEW, path)
    assert sorted(path.parent.iterdir()) == before
    assert templates.read(path).disk == first
    shelf.publish(QEMU_IMG, made, NEW, path)
    assert shelf.current(path) == NEW


def test_a_run_that_is_interrupted_when_all_is_done_has_published(
    made: templates.Template, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path, name: str) -> None:
        replace_link(path, name)
        raise KeyboardInterrupt

    monkeypatch.setattr("kube_provision_qemu.baking.shelf.replace_link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shelf.publish(QEMU_IMG, made, OLD, path)
    assert shelf.current(path) == OLD
    assert templates.read(path).kernel


def test_a_version_of_the_same_time_replaces_no_disk(made: templates.Template, path: Path) -> None:
    """A guest tells the time, and its clock may stand."""
    first = shelf.publish(QEMU_IMG, made, OLD, path)
    content = first.read_bytes()
    second = shelf.publish(QEMU_IMG, made, replace(NEW, date=OLD.date), path)
    assert second.name == "debian-13.20261127T100000Z-2.qcow2"
    assert first.read_bytes() == content


def test_a_version_that_a_killed_run_has_not_let_the_path_lead_to_is_made_once(made: templates.Template, path: Path) -> None:
    first = shelf.publish(QEMU_IMG, made, OLD, path)
    path.unlink()
    assert shelf.publish(QEMU_IMG, made, OLD, path) == first


@pytest.mark.parametrize(
    "name", [".debian-13.20261127T100000Z.0123abcd.part", f"{UNFINISHED}debian-13.qcow2.0123456789ab"], ids=["disk", "link"]
)
def test_what_a_killed_run_has_left_is_removed(made: templates.Template, path: Path, name: str) -> None:
    path.parent.mkdir()
    left = path.with_name(name)
    left.touch()
    shelf.publish(QEMU_IMG, made, OLD, path)
    assert not left.exists()


def test_a_disk_of_somebody_elses_is_no_template_of_ours(template: Path, path: Path) -> None:
    path.parent.mkdir()
    shutil.copy(template, path)
    assert (shelf.current(path), shelf.is_somebody_elses(path)) == (None, True)


def test_so_is_a_link_to_one(template: Path, path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(template)
    assert (shelf.current(path), shelf.is_somebody_elses(path)) == (None, True)


def test_a_link_that_leads_nowhere_may_be_replaced(made: templates.Template, path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to("gone.qcow2")
    assert not shelf.is_somebody_elses(path)
    shelf.publish(QEMU_IMG, made, OLD, path)
    assert shelf.current(path) == OLD
