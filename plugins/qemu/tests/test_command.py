"""Command lines, above all of what cannot be run here: another host's architecture and accelerators."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from servers.qemu import node

from kube_provision_core import TargetError
from kube_provision_qemu import accelerator, boards, command
from kube_provision_qemu.addresses import mac
from kube_provision_qemu.emulator import Emulator
from kube_provision_qemu.record import Record
from kube_provision_qemu.template import Fingerprint, Template

MASTER = node("m-home-1")
RECORD = Record(
    name=MASTER.name,
    uuid="00000000-0000-4000-8000-000000000001",
    stamp=MASTER.stamp,
    address="10.0.2.11",
    mac=mac("id", MASTER.name),
    cpu=2,
    memory_gib=4,
    template=Path("/images/debian.qcow2"),
    fingerprint=Fingerprint(1, 2),
    ports=(22,),
)
DISK = Template(RECORD.template, 1024, RECORD.fingerprint)
KERNEL = Template(RECORD.template, 1024, RECORD.fingerprint, kernel=Path("/images/vmlinuz"), initrd=Path("/images/initrd"))


def line(template: Template, architecture: str, version: tuple[int, int] = (10, 1), wanted: str = "tcg") -> str:
    binary = Path(f"/usr/bin/qemu-system-{architecture}")
    return " ".join(command.machine(RECORD, template, Emulator(binary, binary, version, architecture, wanted), []))


def test_an_x86_machine_boots_its_kernel_and_talks_on_its_serial_port() -> None:
    said = line(KERNEL, "x86_64")
    assert "-M q35 -accel tcg,tb-size=256 -cpu max -smp 2 -m 4G" in said
    assert (
        "-kernel /images/vmlinuz -initrd /images/initrd -append root=/dev/vda rw net.ifnames=0 quiet console=ttyS0" in said
    )


def test_an_arm_machine_boots_its_kernel_and_talks_on_its_serial_port() -> None:
    said = line(KERNEL, "aarch64")
    assert "-M virt -accel tcg,tb-size=256 -cpu max,pauth-impdef=on" in said
    assert said.count("console=ttyAMA0") == 1
    assert "-bios" not in said


@pytest.mark.parametrize(("name", "machine"), [("hvf", "virt"), ("kvm", "virt,gic-version=host")])
def test_an_accelerator_passes_the_hosts_processor_on(monkeypatch: pytest.MonkeyPatch, name: str, machine: str) -> None:
    monkeypatch.setattr(accelerator, "problem", lambda *_: "")
    assert f"-M {machine} -accel {name} -cpu host" in line(KERNEL, "aarch64", wanted=name)


def test_systemd_is_patient_where_processors_are_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "problem", lambda *_: "")
    assert "systemd.default_timeout_start_sec=900 " in line(KERNEL, "x86_64")
    assert "systemd." not in line(KERNEL, "x86_64", wanted="kvm")


def test_a_kernel_guards_real_processors_alone_against_what_they_do_ahead_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "problem", lambda *_: "")
    assert line(KERNEL, "x86_64").split().count("mitigations=off") == 1
    assert "mitigations" not in line(KERNEL, "x86_64", wanted="kvm")


def test_an_x86_disk_is_booted_by_the_firmware_that_qemu_brings() -> None:
    said = line(DISK, "x86_64")
    assert "-bios" not in said
    assert "-kernel" not in said


@pytest.fixture
def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulator in a folder of its own, reached through a link on PATH as package managers make them."""
    monkeypatch.setattr(boards, "_SHARES", (str(tmp_path / "usr/share"),))
    binary = tmp_path / "opt/qemu/bin/qemu-system-aarch64"
    binary.parent.mkdir(parents=True)
    binary.touch()
    link = tmp_path / "usr/bin/qemu-system-aarch64"
    link.parent.mkdir(parents=True)
    link.symlink_to(binary)
    return Emulator(link, link, (10, 1), "aarch64", "tcg")


def test_an_arm_disk_without_firmware_is_told(arm: Emulator) -> None:
    with pytest.raises(TargetError, match=r"no UEFI firmware \(.*\) in .*: install it .* or name it: qemu_firmware"):
        command.machine(RECORD, DISK, arm, [])


@pytest.mark.parametrize("place", ["opt/qemu/share/qemu/edk2-aarch64-code.fd", "usr/share/edk2/aarch64/QEMU_EFI.fd"])
def test_firmware_is_found_beside_the_emulator_and_where_systems_install_it(
    arm: Emulator, tmp_path: Path, place: str
) -> None:
    firmware = tmp_path / place
    firmware.parent.mkdir(parents=True)
    firmware.touch()
    assert f"-bios {firmware}" in " ".join(command.machine(RECORD, DISK, arm, []))


def test_firmware_may_be_named(arm: Emulator, tmp_path: Path) -> None:
    named = replace(arm, wanted_firmware=tmp_path / "own.fd")
    with pytest.raises(TargetError, match=r"qemu_firmware: there is no file .*own.fd"):
        command.machine(RECORD, DISK, named, [])
    (tmp_path / "own.fd").touch()
    assert f"-bios {tmp_path}/own.fd" in " ".join(command.machine(RECORD, DISK, named, []))


def test_an_address_on_the_wire_is_the_same_in_every_run_and_nobody_elses() -> None:
    made = {mac("one", "m-home-1"), mac("one", "m-home-1"), mac("one", "m-home-2"), mac("two", "m-home-1")}
    assert len(made) == 3
    assert all(address.startswith("52:54:") for address in made)
