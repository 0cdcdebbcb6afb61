"""Every call of vmrun ends in time, and its errors are read where it writes them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from servers.vmware import Vmware

from kube_provision_core import TargetError
from kube_provision_fusion import programs
from kube_provision_fusion.host import fusion, workstation
from kube_provision_fusion.programs import TimeLimitError
from kube_provision_fusion.vmrun import VmrunError


def test_errors_are_read_from_standard_output_behind_other_lines(vmware: Vmware) -> None:
    with pytest.raises(VmrunError) as caught:
        vmware.vmrun().switch_off(vmware.template)
    assert caught.value.reason == f"The virtual machine is not powered on: {vmware.template}"
    assert str(caught.value).startswith(f"vmrun could not switch off {vmware.template}: ")


def test_a_program_that_says_nothing_is_told_by_its_exit_code(vmware: Vmware) -> None:
    vmware.program.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(VmrunError, match="exit code 3"):
        vmware.vmrun().running()


NOISE = (
    "[AppLoader] Use shipped Linux kernel AIO access library.",
    'An up-to-date "libaio" or "liburing" library from your system is preferred.',
    "[AppLoader] GLib does not have GSettings support.",
    "(process:4119): GLib-CRITICAL **: 09:12:40.559: g_file_test: assertion failed",
    'Gtk-Message: 09:12:40.559: Failed to load module "canberra-gtk-module"',
    "2026-11-17T09:12:40.559| ServiceImpl_Opener: PID 4119",
    "/usr/lib/vmware/bin/vmrun: /lib/x86_64-linux-gnu/libz.so.1: no version information available (required by vmrun)",
    "ERROR: ld.so: object 'libgtk3-nocsd.so.0' from LD_PRELOAD cannot be preloaded: ignored.",
)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_libraries_say_beside_a_value_is_no_part_of_it(vmware: Vmware, stream: str) -> None:
    """As on many Linux desktops: of a variable, a list, a snapshot's name, an error."""
    vmware.be(noise={stream: "".join(f"{line}\n" for line in NOISE)})
    vmrun, machine = vmware.vmrun(), vmware.template
    assert vmrun.running() == frozenset()
    vmrun.take_snapshot(machine, "clean")
    assert vmrun.snapshots(machine) == ("clean",)
    vmrun.start(machine)
    assert vmrun.running() == {vmware.host.normal(machine)}
    assert vmrun.read(machine, "guestVar", "local-ipv4") == "172.16.133.130"
    assert vmrun.read(machine, "guestVar", "unset") == ""
    with pytest.raises(VmrunError) as caught:
        vmrun.start(machine)
    assert caught.value.reason.startswith("The virtual machine should not be powered on")


def test_warnings_that_nobody_knows_yet_are_no_value_either(vmware: Vmware) -> None:
    vmware.be(noise={"stderr": "warning: something new\n"})
    vmrun, machine = vmware.vmrun(), vmware.template
    vmrun.start(machine)
    assert vmrun.read(machine, "guestVar", "local-ipv4") == "172.16.133.130"


def test_a_program_that_cannot_even_begin_is_told_in_its_own_words(vmware: Vmware) -> None:
    lines = f"vmrun: error while loading shared libraries: libX11.so.6\n{NOISE[0]}"
    vmware.program.write_text(f"#!/bin/sh\necho '{lines}' >&2\nexit 127\n")
    with pytest.raises(VmrunError, match=r"error while loading shared libraries: libX11\.so\.6$"):
        vmware.vmrun().running()


def test_a_call_that_hangs_is_killed_with_everything_that_it_started(vmware: Vmware) -> None:
    vmware.limits = replace(vmware.limits, look=3)
    vmware.program.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > '{vmware.root}/child'\nwait\n")
    begun = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"list the machines that run: no answer within 3 s"):
        vmware.vmrun().running()
    assert time.monotonic() - begun < 60
    child = Path(f"/proc/{(vmware.root / 'child').read_text().strip()}/stat")
    deadline = time.monotonic() + 60
    while lives(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not lives(child)


def lives(process: Path) -> bool:
    try:
        return process.read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_machine_that_inherits_the_output_does_not_hold_up_the_call(vmware: Vmware) -> None:
    vmware.program.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > '{vmware.root}/child'\necho Total running VMs: 0\n")
    vmware.vmrun().running()
    child = int((vmware.root / "child").read_text())
    assert lives(Path(f"/proc/{child}/stat"))
    os.kill(child, signal.SIGKILL)


def test_a_missing_program_is_told(vmware: Vmware) -> None:
    vmrun = vmware.vmrun()
    assert vmrun.program == vmware.program
    vmware.program.unlink()
    with pytest.raises(TargetError, match=r"vmrun: cannot be run: No such file"):
        vmrun.running()


def test_programs_get_neither_our_secrets_nor_a_narrow_umask(vmware: Vmware, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE_PROVISION_CONSUL_TOKEN", "secret")
    old = os.umask(0o077)
    try:
        vmware.vmrun().running()
    finally:
        os.umask(old)
    (call,) = vmware.calls()
    assert "KUBE_PROVISION_CONSUL_TOKEN" not in call["environment"]
    assert call["umask"] == 0o022


def test_programs_are_out_of_reach_of_the_terminals_ctrl_c(vmware: Vmware) -> None:
    vmware.program.write_text("#!/bin/sh\nps -o sid= -p $$\n")
    outcome = programs.run([vmware.program], 5, "look")
    assert int(outcome.text) != os.getsid(0)


def test_snapshots_are_listed(vmware: Vmware) -> None:
    vmrun = vmware.vmrun()
    assert vmrun.snapshots(vmware.template) == ()
    vmrun.take_snapshot(vmware.template, "one two")
    assert vmrun.snapshots(vmware.template) == ("one two",)


def test_paths_of_running_machines_are_compared_as_macos_does(tmp_path: Path) -> None:
    decomposed, composed = "Bu\u0308ro", "B\u00fcro"
    assert fusion("arm64").normal(f"/vm/{decomposed}/A.VMX") == fusion("arm64").normal(f"/vm/{composed}/a.vmx")
    assert workstation("x86_64").normal("/vm/A.vmx") != workstation("x86_64").normal("/vm/a.vmx")
    (tmp_path / "link").symlink_to(tmp_path)
    assert workstation("x86_64").normal(tmp_path / "link" / "a.vmx") == str((tmp_path / "a.vmx").resolve())
