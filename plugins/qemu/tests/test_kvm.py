"""The hint fits what is wrong: whoever reads it knows what to do on this very host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kube_provision_qemu import kvm
from kube_provision_qemu.kvm import Facts


@pytest.mark.parametrize(
    ("facts", "advice"),
    [
        (Facts(there=False), "Switch virtualisation on in this host's firmware"),
        (Facts(there=False, extension="vmx"), "modprobe kvm_intel"),
        (Facts(there=False, extension="svm"), "modprobe kvm_amd"),
        (Facts(there=False, guest=True), "have its hypervisor pass virtualisation on"),
        (Facts(there=False, guest=True, container=True), "--device /dev/kvm"),
        (Facts(there=False, container=True, extension="vmx"), "--device /dev/kvm"),
        (Facts(there=True, group="kvm"), "usermod -aG kvm $USER"),
        (Facts(there=True, group="kvm", member=True), "Log in again"),
        (Facts(there=True), "chmod 660 /dev/kvm"),
        (Facts(there=True, allowed=True, guest=True), "does not pass virtualisation on"),
        (Facts(there=True, allowed=True), "Another hypervisor"),
    ],
)
def test_each_cause_has_its_advice(facts: Facts, advice: str) -> None:
    assert advice in kvm.advice(facts)


@pytest.fixture
def host() -> Iterator[Path]:
    """A host of its own, seen by a user who is not root."""
    with TemporaryDirectory(dir="/tmp") as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "dev").mkdir()
        (root / "proc").mkdir()
        (root / "proc/cpuinfo").write_text("processor: 0\nflags\t\t: fpu vmx hypervisor\n")
        os.seteuid(65534)
        yield root
        os.seteuid(0)


def put_device(host: Path, mode: int, group: int) -> None:
    os.seteuid(0)
    (host / kvm.DEVICE).touch()
    (host / kvm.DEVICE).chmod(mode)
    os.chown(host / kvm.DEVICE, 0, group)
    os.seteuid(65534)


def test_a_host_without_the_device_is_seen(host: Path) -> None:
    assert kvm.look(host) == Facts(there=False, guest=True, extension="vmx")


def test_a_container_is_seen(host: Path) -> None:
    os.seteuid(0)
    (host / ".dockerenv").touch()
    os.seteuid(65534)
    assert kvm.look(host).container


@pytest.mark.parametrize(
    ("mode", "group", "allowed", "named"),
    [(0o600, 0, False, ""), (0o660, 12, False, "man"), (0o660, 54321, False, "54321"), (0o666, 12, True, "man")],
)
def test_who_may_open_the_device_is_seen(host: Path, mode: int, group: int, allowed: bool, named: str) -> None:
    put_device(host, mode, group)
    seen = kvm.look(host)
    assert (seen.there, seen.allowed, seen.group, seen.member) == (True, allowed, named, False)


def test_this_host_is_looked_at() -> None:
    assert kvm.look().there == Path("/dev/kvm").exists()
