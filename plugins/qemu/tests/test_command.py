"""Command lines, above all of what cannot be run here: another host's architecture and accelerators."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers.qemu import node

from kube_provision_core import TargetError
from kube_provision_qemu import accelerator, command
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


def test_an_x86_disk_is_booted_by_the_firmware_that_qemu_brings() -> None:
    said = line(DISK, "x86_64")
    assert "-bios" not in said
    assert "-kernel" not in said


def test_an_arm_disk_without_firmware_is_told() -> None:
    with pytest.raises(TargetError, match=r"no UEFI firmware in .*: install it"):
        line(DISK, "aarch64")


def test_an_address_on_the_wire_is_the_same_in_every_run_and_nobody_elses() -> None:
    made = {mac("one", "m-home-1"), mac("one", "m-home-1"), mac("one", "m-home-2"), mac("two", "m-home-1")}
    assert len(made) == 3
    assert all(address.startswith("52:54:") for address in made)
