"""Every call of vmrun ends in time, and its errors are read where it writes them."""

from __future__ import annotations

import os
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


def test_a_call_that_hangs_is_killed_with_everything_that_it_started(vmware: Vmware) -> None:
    vmware.limits = replace(vmware.limits, look=1)
    vmware.program.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > '{vmware.root}/child'\nwait\n")
    begun = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"list the machines that run: no answer within 1 s"):
        vmware.vmrun().running()
    assert time.monotonic() - begun < 10
    child = Path(f"/proc/{(vmware.root / 'child').read_text().strip()}/stat")
    deadline = time.monotonic() + 5
    while lives(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not lives(child)


def lives(process: Path) -> bool:
    try:
        return process.read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_machine_that_inherits_the_output_does_not_hold_up_the_call(vmware: Vmware) -> None:
    vmware.program.write_text("#!/bin/sh\nsleep 2 &\necho Total running VMs: 0\n")
    begun = time.monotonic()
    vmware.vmrun().running()
    assert time.monotonic() - begun < 1.5


def test_a_missing_program_is_told(vmware: Vmware) -> None:
    vmware.program.unlink()
    with pytest.raises(TargetError, match=r"vmrun: cannot be run: No such file"):
        vmware.vmrun().running()


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
