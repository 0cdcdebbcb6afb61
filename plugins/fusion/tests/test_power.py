"""Why a machine was not powered on: what VMware wrote down, not what vmrun makes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.vmware import Vmware

from kube_provision_core import Boot, Node, TargetError
from kube_provision_fusion import machine_log
from kube_provision_fusion.driver import Fusion

NO_MEMORY = "Not enough physical memory is available to power on this virtual machine with its configured settings."


def test_a_power_on_that_is_cancelled_for_want_of_memory_is_told(
    vmware: Vmware, driver: Fusion, node: Callable[..., Node], boot: Callable[[Node], Boot]
) -> None:
    vmware.be(memory_mib=2048)
    with pytest.raises(TargetError) as caught:
        driver.provision_vm(node=node(), boot=boot(node()))
    assert str(caught.value).endswith(
        f"w-prod-1.vmx: The operation was canceled: {NO_MEMORY} (vmware.log: msg.hostmem.noPower)"
    )


def told(folder: Path, *lines: str, since: float = 0) -> str:
    """Each form in which VMware has written such lines over the years."""
    log = folder / "vmware.log"
    found = set()
    for begin in ("2026-11-17T09:12:40.120Z In(05) vmx ", "2019-01-20T11:05:07.651+01:00| vmx| I125: "):
        log.write_text("".join(f"{begin}{line}\n" for line in lines))
        found.add(machine_log.complaint(folder, since))
    (said,) = found
    return said


def test_the_cause_stands_before_its_consequences(tmp_path: Path) -> None:
    lines = (
        "Msg_Post: Error",
        "[msg.fileio.lock] Failed to lock the file",
        "[msg.disk.noBackEnd] Cannot open the disk 'a.vmdk'.",
        "[msg.moduletable.powerOnFailed] Module 'Disk' power on failed.",
        "[msg.vmx.poweron.failed] Failed to start the virtual machine.",
        "----------------------------------------",
    )
    assert told(tmp_path, *lines) == "Failed to lock the file (vmware.log: msg.fileio.lock)"


def test_the_last_of_several_counts(tmp_path: Path) -> None:
    earlier, later = ("Msg_Post: Error", "[msg.a] earlier"), ("Msg_Question:", "[msg.b] later", "[msg.button.ok] OK")
    assert told(tmp_path, *earlier, *later).startswith("later")


def test_a_hint_is_no_cause(tmp_path: Path) -> None:
    assert told(tmp_path, "Msg_Hint: msg.vhv.off (not shown)", "[msg.vhv.off] Virtualized VT-x is off") == ""


def test_a_log_of_an_earlier_power_on_tells_nothing(tmp_path: Path) -> None:
    assert told(tmp_path, "Msg_Post: Error", "[msg.a] earlier", since=time.time() + 60) == ""
