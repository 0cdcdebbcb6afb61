"""Bad input is told before the first machine is made, all of it at once, in a line each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.vmware import Vmware

from kube_provision_core import Boot, HostMemory, Machine, Node, Role
from kube_provision_fusion import preflight
from kube_provision_fusion.driver import Fusion
from kube_provision_fusion.host import fusion

MakeNode = Callable[..., Node]
Check = Callable[..., list[str]]


@pytest.fixture
def check(vmware: Vmware, node: MakeNode, boot: Callable[[Node], Boot]) -> Check:
    def check(machine: Machine | None = None, count: int = 1, **keys: Any) -> list[str]:
        nodes = [node(f"w-prod-{number}") for number in range(1, count + 1)]
        nodes = [replace(one, machine=machine or one.machine) for one in nodes]
        lines = list(vmware.driver(**keys).preflight(machines=[(one, boot(one)) for one in nodes]))
        assert all("\n" not in line for line in lines)
        return lines

    return check


def only(lines: list[str]) -> str:
    (line,) = lines
    return line


def test_good_input_is_fine(check: Check) -> None:
    assert check() == []


def test_nothing_is_changed(vmware: Vmware, check: Check) -> None:
    before = sorted(vmware.vm_dir.rglob("*"))
    check()
    assert sorted(vmware.vm_dir.rglob("*")) == before
    assert {call["verb"] for call in vmware.calls()} == {"list"}


class TestVmrun:
    def test_missing(self, vmware: Vmware, check: Check) -> None:
        assert only(check(vmrun=str(vmware.root / "none"))) == f"vmrun: there is no program {vmware.root}/none"

    def test_not_installed(self, vmware: Vmware, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        assert "Install VMware Fusion Pro, or set vmrun to its path" in only(check(vmrun=None))

    def test_found_on_the_path(self, vmware: Vmware, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", f"{vmware.program.parent}:{os.environ['PATH']}")
        assert check(vmrun=None) == []

    def test_not_executable(self, vmware: Vmware, check: Check) -> None:
        vmware.program.chmod(0o644)
        assert only(check()) == f"vmrun: {vmware.program} is not executable"


class TestTheTemplate:
    def test_missing(self, vmware: Vmware, check: Check) -> None:
        assert only(check(template=str(vmware.vm_dir / "none.vmx"))) == (
            f"template: there is no file {vmware.vm_dir}/none.vmx"
        )

    def test_not_baked_yet(self, vmware: Vmware, check: Check) -> None:
        line = only(check(template=str(vmware.vm_dir / "none.vmx"), bake_from=str(vmware.template)))
        assert line.endswith("/none.vmx; kube-provision bake makes it")

    def test_encrypted(self, vmware: Vmware, check: Check) -> None:
        assert "it is encrypted" in only(check(template=str(vmware.add_template("encrypted.vmx"))))

    def test_running(self, vmware: Vmware, check: Check) -> None:
        vmware.vmrun().start(vmware.template)
        assert only(check()) == f"template: {vmware.template}: it is running; shut it down"

    def test_suspended(self, vmware: Vmware, check: Check) -> None:
        edit(vmware.template, 'checkpoint.vmState = ""', 'checkpoint.vmState = "ubuntu_base.vmss"')
        assert "it is suspended" in only(check())

    def test_locked_after_a_crash(self, vmware: Vmware, check: Check) -> None:
        vmware.vmrun().start(vmware.template)
        vmware.pull_the_plug()
        line = only(check())
        assert "it is locked by ubuntu_base.vmx.lck" in line
        assert "it can be deleted" in line

    def test_with_an_empty_lock_is_free(self, vmware: Vmware, check: Check) -> None:
        Path(f"{vmware.template}.lck").mkdir()
        assert check() == []

    def test_in_an_unknown_encoding(self, vmware: Vmware, check: Check) -> None:
        edit(vmware.template, "UTF-8", "windows-31j")
        assert "its encoding windows-31j is not known here" in only(check())

    def test_with_a_setting_that_stands_twice(self, vmware: Vmware, check: Check) -> None:
        edit(vmware.template, 'memsize = "4096"', 'memsize = "4096"\nMemSize = "2048"')
        assert "more than once, so that VMware does not read it: memsize" in only(check())

    def test_for_another_architecture(self, vmware: Vmware, node: MakeNode, boot: Callable[[Node], Boot]) -> None:
        host = replace(vmware.host, architecture="arm64")
        driver = Fusion(dict.fromkeys(Role, vmware.config()), host, vmware.limits)
        line = only(list(driver.preflight(machines=[(node(), boot(node()))])))
        assert line.endswith("its system (guestOS ubuntu-64) is for x86_64, and this computer runs arm64 only")

    def test_for_arm_on_intel(self, vmware: Vmware, check: Check) -> None:
        assert "guestOS arm-debian12-64" in only(check(template=str(vmware.add_template("debian arm.vmx"))))

    def test_without_its_disk(self, vmware: Vmware, check: Check) -> None:
        (vmware.template.parent / "Virtual Disk.vmdk").unlink()
        assert "Virtual Disk.vmdk is missing" in only(check())

    def test_without_what_its_disk_builds_on(self, vmware: Vmware, check: Check) -> None:
        vmware.vmrun().take_snapshot(vmware.template, "golden")
        (vmware.template.parent / "Virtual Disk.vmdk").unlink()
        line = only(check())
        assert "Virtual Disk-000001.vmdk builds on " in line
        assert line.endswith("Virtual Disk.vmdk, which is missing")

    def test_without_disk_or_network_card(self, vmware: Vmware, check: Check) -> None:
        vmware.template.write_text('guestOS = "ubuntu-64"\n')
        assert [line.rpartition(": ")[2] for line in check()] == ["it has no network card", "it has no disk"]

    def test_whose_network_card_leads_nowhere(self, vmware: Vmware, check: Check) -> None:
        vmware.set_vmx("ubuntu_base", {"ethernet0.startConnected": "FALSE"})
        assert only(check()).endswith("its network card ethernet0 is not connected: connect it in VMware's settings")

    def test_whose_snapshot_is_gone(self, vmware: Vmware, check: Check) -> None:
        vmware.vmrun().take_snapshot(vmware.template, "other")
        assert only(check(snapshot="golden")) == (f"snapshot: {vmware.template} has no snapshot golden; it has other")


class TestTheFolder:
    def test_missing(self, vmware: Vmware, check: Check) -> None:
        assert only(check(vm_dir=str(vmware.root / "none"))) == (f"vm_dir: there is no folder {vmware.root}/none; create it")

    def test_not_writable(self, check: Check) -> None:
        """Nobody makes folders there, not even root."""
        assert only(check(vm_dir="/proc")).startswith("vm_dir: nothing can be made in /proc: ")

    def test_full(self, vmware: Vmware, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = shutil.disk_usage(vmware.root)._replace(free=3 * 1024**3)
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
        assert check() == []
        assert only(check(count=3)) == (f"vm_dir: 3.0 GiB are free in {vmware.vm_dir}, and 3 machines take at least 6.0 GiB")

    def test_full_for_whole_copies(self, vmware: Vmware, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = shutil.disk_usage(vmware.root)._replace(free=10_000)
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
        assert "are free in" in only(check(clone_type="full"))


class TestSizes:
    def test_a_disk_never_shrinks(self, check: Check) -> None:
        assert "10 GiB is less than the 20 GiB" in only(check(Machine(2, 2, boot_disk_gib=10), count=2))

    def test_a_linked_disk_never_grows(self, check: Check) -> None:
        assert "set clone_type: full" in only(check(Machine(2, 2, boot_disk_gib=40)))

    def test_a_full_one_does(self, check: Check) -> None:
        assert check(Machine(2, 2, boot_disk_gib=40), clone_type="full") == []

    def test_a_controller_has_only_so_many_places(self, check: Check) -> None:
        assert check(Machine(2, 2, data_volumes_gib=(9,) * 14)) == []
        assert only(check(Machine(2, 2, data_volumes_gib=(9,) * 15), count=2)) == (
            "data_volumes: 15 wanted, and the template's controller scsi0 has room for 14 more disks; give fewer"
        )

    def test_a_disk_has_a_largest_size(self, check: Check) -> None:
        assert only(check(Machine(2, 2, data_volumes_gib=(9, 8193)))) == (
            "data_volumes: 8193 GiB is more than the 8192 GiB that VMware lets a disk have"
        )

    def test_the_disk_manager_is_missed_only_where_it_is_needed(self, vmware: Vmware, check: Check) -> None:
        vmware.program.with_name("vmware-vdiskmanager").unlink()
        assert check() == []
        line = only(check(Machine(2, 2, data_volumes_gib=(9,))))
        assert line.startswith("data_volumes: there is no vmware-vdiskmanager beside vmrun")

    def test_boot_data_fits(self, vmware: Vmware, driver: Fusion, node: MakeNode) -> None:
        large = Boot("w-prod-1", "w-prod-1-1", os.urandom(60_000).hex())
        line = only(list(driver.preflight(machines=[(node(), large)])))
        assert line.startswith("w-prod-1: boot data (guestinfo.userdata) is ")
        assert "more than the 65536" in line


def test_everything_is_told_at_once(vmware: Vmware, check: Check) -> None:
    lines = check(vmrun="/none", template="/none.vmx", vm_dir="/nowhere")
    assert [line.partition(":")[0] for line in lines] == ["vmrun", "template", "vm_dir"]


def test_the_kernel_knows_the_architecture_although_python_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    from kube_provision_fusion import host

    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("platform.version", lambda: "Darwin Kernel Version 24.1.0: root:xnu-11215/RELEASE_ARM64_T6000")
    assert host.this_host() == fusion("arm64")


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_more_memory_than_this_computer_has_is_told(
    vmware: Vmware, node: MakeNode, boot: Callable[[Node], Boot], check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What machines have that run already counts, whosever they are."""
    monkeypatch.setattr(preflight, "host_memory", lambda: HostMemory(8 * 1024**3))
    assert check(count=2) == []
    vmware.driver().provision_vm(node=node("w-other-1", cluster="other"), boot=boot(node()))
    assert only(check(count=2)).startswith(
        "mem: the machines that are to be made want 6 GiB of memory, and 3 GiB are taken by machines that there are already"
    )
