"""Baking from a disk, with a guest that really boots and says that it is done."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.guest import guest_files
from servers.qemu import end_processes

from kube_provision_core import Baked, Boot, HostMemory, Image, Machine, Role, TargetError, Template
from kube_provision_core.testing import BakingContract, image_of
from kube_provision_qemu import template as templates
from kube_provision_qemu.baking import origin
from kube_provision_qemu.driver import Qemu
from kube_provision_qemu.emulator import Emulator
from kube_provision_qemu.places import BOOT_DISK

pytestmark = pytest.mark.integration

MakeDriver = Callable[..., Qemu]
ROLES = frozenset(Role)
BAKED = Baked("aaaabbbbcccc", "2026-11-27T10:00:00Z", "Debian 13", {"kubeadm": "1.36.4-1.1"})
TELLING = """#cloud-config
# publisher
cat >/dev/null
echo '{}' >/dev/virtio-ports/kube-provision.status
"""


def image(baked: Baked = BAKED) -> Image:
    """A machine that boots it says what it holds, whatever it is told to say."""
    done = json.dumps({"stage": "finish", "state": "done", "error": "", "baked": baked.document})
    boot = Boot("bake", f"bake-{baked.spec}", TELLING.replace("{}", done))
    return Image(baked.spec, boot, "#!/bin/bash\n", Machine(1, 1))


@pytest.fixture
def source(template: Path, tmp_path: Path) -> Path:
    path = tmp_path / "cloud.qcow2"
    shutil.copy(template, path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "images/debian.qcow2"


@pytest.fixture(autouse=True)
def _boots_the_guest(vm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The disk is copied as it is, and booted by the guest's kernel, which needs no bootable disk."""
    make = origin.make

    def make_and_boot_the_guest(source: Any, image: Image, emulator: Emulator, folder: Path, log: Path) -> None:
        make(source, image, emulator, folder, log)
        disk = folder / BOOT_DISK
        kernel, initrd = disk.with_suffix(".vmlinuz"), disk.with_suffix(".initrd")
        for file, target in zip(guest_files(), (kernel, initrd), strict=True):
            shutil.copy(file, target)
        templates.write_manifest(replace(templates.read(disk), kernel=kernel, initrd=initrd))

    monkeypatch.setattr(origin, "make", make_and_boot_the_guest)
    yield
    end_processes(vm_dir / "baking")


@pytest.fixture
def driver(make_driver: MakeDriver, source: Path, path: Path) -> Qemu:
    return make_driver(template=path, bake_from=str(source))


def only(driver: Qemu) -> Template:
    (template,) = driver.list_templates(ROLES)
    return template


def when_done(driver: Qemu) -> Template:
    deadline = time.monotonic() + 120
    while True:
        template = only(driver)
        if template.baking and template.baking.done:
            return template
        assert time.monotonic() < deadline, template
        time.sleep(0.2)


def test_a_template_is_baked_by_a_machine_that_boots(driver: Qemu, path: Path, source: Path, vm_dir: Path) -> None:
    assert only(driver) == Template(str(path), ROLES, source=str(source), where=str(path))
    driver.bake_image(only(driver), image())
    baking = only(driver).baking
    assert baking is not None
    assert (baking.spec, baking.running) == (BAKED.spec, True)
    driver.finish_image(when_done(driver))
    found = only(driver)
    assert (found.exists, found.baked, found.baking) == (True, BAKED, None)
    assert templates.read(path).virtual_size == origin.DISK_GIB * 1024**3
    assert list((vm_dir / "baking/machines").iterdir()) == []


class TestLaterRuns:
    @pytest.fixture
    def begun(self, driver: Qemu) -> Qemu:
        driver.bake_image(only(driver), image())
        return driver

    def test_find_the_machine_that_bakes(self, begun: Qemu, make_driver: MakeDriver, path: Path, source: Path) -> None:
        later = make_driver(template=path, bake_from=str(source))
        assert when_done(later).baking == when_done(begun).baking

    def test_replace_a_machine_that_bakes_something_else(self, begun: Qemu) -> None:
        newer = replace(BAKED, spec="ddddeeeeffff")
        begun.bake_image(only(begun), image(newer))
        baking = when_done(begun).baking
        assert baking is not None
        assert baking.baked == newer

    def test_find_a_machine_that_was_powered_off(self, begun: Qemu, vm_dir: Path) -> None:
        end_processes(vm_dir / "baking")
        baking = only(begun).baking
        assert baking is not None
        assert not baking.running

    def test_bring_to_its_end_what_a_killed_one_has_finished(
        self, begun: Qemu, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done = when_done(begun)
        with monkeypatch.context() as patch:
            patch.setattr("kube_provision_qemu.baking.templates.Templates._remove", _killed)
            with pytest.raises(KeyboardInterrupt):
                begun.finish_image(done)
        disks = sorted(path.parent.iterdir())
        found = only(begun)
        assert found.baked == BAKED
        assert found.baking is not None
        begun.finish_image(found)
        assert only(begun).baking is None
        assert sorted(path.parent.iterdir()) == disks


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


class TestBadInput:
    def test_a_source_that_is_not_there(self, make_driver: MakeDriver, path: Path) -> None:
        (told,) = only(make_driver(template=path, bake_from="/nowhere/image")).hindrances
        assert told.startswith("bake_from: /nowhere/image cannot be read: No such file")

    def test_a_source_that_is_no_disk(self, driver: Qemu, source: Path) -> None:
        source.write_bytes(b"<html>Not found</html>" * 100)
        with pytest.raises(TargetError, match=r"^bake_from: .*/cloud\.qcow2 is no disk that can boot: is it a cloud image"):
            driver.bake_image(only(driver), image())

    def test_a_raw_disk_is_one(self, driver: Qemu, source: Path) -> None:
        source.write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 2**20)
        driver.bake_image(only(driver), image())
        assert only(driver).baking is not None

    def test_a_wrong_checksum(self, make_driver: MakeDriver, path: Path, source: Path) -> None:
        driver = make_driver(template=path, bake_from=str(source), bake_from_checksum=f"sha256:{'0' * 64}")
        with pytest.raises(TargetError, match="its sha256 checksum is"):
            driver.bake_image(only(driver), image())
        assert only(driver).baking is None

    def test_no_space(self, driver: Qemu, monkeypatch: pytest.MonkeyPatch) -> None:
        """Told before anything begins; that there is no template yet is told none the less."""
        monkeypatch.setattr(origin, "SPACE", 2**62)
        found = only(driver)
        assert (found.exists, len(found.hindrances)) == (False, 2)
        assert all("GiB left, and a bake needs" in line for line in found.hindrances)

    def test_no_space_left_meanwhile(self, driver: Qemu, vm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        wanted = only(driver)
        monkeypatch.setattr(origin, "SPACE", 2**62)
        with pytest.raises(TargetError, match="GiB left, and a bake needs"):
            driver.bake_image(wanted, image())
        assert not list(vm_dir.glob("baking/machines/*"))

    def test_no_memory(self, driver: Qemu, vm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kube_provision_qemu.baking.templates.host_memory", lambda: HostMemory(2**29))
        with pytest.raises(TargetError, match=r"want 1 GiB of memory; this host has 0\.5 GiB in all"):
            driver.bake_image(only(driver), image())
        assert not list(vm_dir.glob("baking/machines/*"))

    def test_no_mmdebstrap(self, make_driver: MakeDriver, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kube_provision_qemu.baking.debian.find", lambda program: None)
        assert only(make_driver(template=path, bake_from="debian-13")).hindrances == (
            "bake_from: Debian is built by mmdebstrap, which is not installed (Debian: apt install mmdebstrap). Or name "
            "a cloud image",
        )

    def test_debian_for_another_architecture(self, make_driver: MakeDriver, path: Path, tmp_path: Path) -> None:
        binary = tmp_path / "qemu-system-aarch64"
        binary.symlink_to(shutil.which("qemu-system-x86_64") or "")
        driver = make_driver(template=path, bake_from="debian-13", qemu_binary=str(binary))
        assert "name a cloud image of theirs" in "".join(only(driver).hindrances)

    def test_somebody_elses_disk_is_left_alone(self, driver: Qemu, path: Path, template: Path) -> None:
        path.parent.mkdir()
        shutil.copy(template, path)
        assert (only(driver).exists, only(driver).baked) == (True, None)
        driver.bake_image(only(driver), image())
        with pytest.raises(TargetError, match=r"debian\.qcow2: was not made by bake; it is left alone"):
            driver.finish_image(when_done(driver))
        assert path.read_bytes() == template.read_bytes()

    def test_a_disk_that_is_corrupt_when_it_is_finished(self, driver: Qemu, path: Path, vm_dir: Path) -> None:
        driver.bake_image(only(driver), image())
        done = when_done(driver)
        end_processes(vm_dir / "baking")
        (disk,) = vm_dir.glob("baking/machines/*/boot.qcow2")
        with disk.open("r+b") as file:
            file.seek(40)
            file.write(b"\xff" * 8)
        with pytest.raises(TargetError, match=r"cannot be used: .*L1 table offset invalid"):
            driver.finish_image(done)
        assert not path.exists()


def test_the_disk_is_a_copy(driver: Qemu, source: Path) -> None:
    before = source.read_bytes()
    driver.bake_image(only(driver), image())
    (disk,) = driver._places.root.glob("baking/machines/*/boot.qcow2")
    told = subprocess.run(["qemu-img", "info", "-U", disk], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "backing file" not in told
    assert source.read_bytes() == before


class TestTheContract(BakingContract):
    @pytest.fixture
    def make_driver(self, make_driver: MakeDriver, source: Path, path: Path) -> Callable[[], Qemu]:
        return lambda: make_driver(template=path, bake_from=str(source))

    @pytest.fixture
    def make_image(self) -> Callable[[Baked], Image]:
        def make(baked: Baked) -> Image:
            """With the suite's secret before what the guest runs."""
            plain, telling = image_of(baked), image(baked)
            user_data = plain.boot.user_data + telling.boot.user_data.removeprefix("#cloud-config\n")
            return replace(telling, boot=replace(telling.boot, user_data=user_data))

        return make

    @pytest.fixture
    def guest_bakes(self, make_driver: Callable[[], Qemu]) -> Callable[[Baked], None]:
        def bakes(baked: Baked) -> None:
            when_done(make_driver())

        return bakes

    @pytest.fixture
    def create_foreign(self, template: Path, path: Path) -> Callable[[], None]:
        def create() -> None:
            path.parent.mkdir()
            shutil.copy(template, path)

        return create

    @pytest.fixture
    def read_boot_data(self, vm_dir: Path) -> Callable[[], str]:
        folder = vm_dir / "baking/machines"
        return lambda: "".join(seed.read_bytes().decode("latin-1") for seed in folder.glob("*/seed.iso"))
