"""Machines are clones with an identity of their own; runs that are killed, and VMware's quirks, do no harm."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from gzip import decompress
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from servers.vmware import Vmware, read_vmx

from kube_provision_core import Boot, Cluster, Node, Power, TargetError
from kube_provision_core.contract.driver import listening
from kube_provision_fusion import note
from kube_provision_fusion.driver import Fusion
from kube_provision_fusion.programs import TimeLimitError

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]


@pytest.fixture
def make(node: MakeNode, boot: MakeBoot) -> Callable[..., object]:
    def make(driver: Fusion, name: str = "w-prod-1", **size: int) -> object:
        one = node(name, **size)
        return driver.provision_vm(node=one, boot=boot(one))

    return make


Make = Callable[..., object]


def test_what_goes_on_is_told_meanwhile(driver: Fusion, make: Make) -> None:
    told: list[str] = []
    with listening(told.append):
        make(driver)
    assert told == ["waits for its turn at the template", "is cloned", "waits for its turn to start", "is started"]


class TestAMachine:
    def test_is_as_large_as_asked_for(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        make(driver, cpu=3, memory_gib=5)
        machine = vmware.machine("w-prod-1")
        assert (machine.get("numvcpus"), machine.get("memsize")) == ("3", "5120")

    def test_has_an_identity_of_its_own(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        for name in ("w-prod-1", "w-prod-2"):
            make(driver, name)
        template = vmware.vmrun() and read_vmx(vmware.template)
        first, second = (vmware.running()[name]["config"] for name in ("w-prod-1", "w-prod-2"))
        for key in ("uuid.bios", "ethernet0.address"):
            assert len({first[key], second[key], template.get(key)}) == 3
        assert first["displayname"] == "w-prod-1"
        assert vmware.machine("w-prod-1").get("uuid.bios") == "", "VMware makes one up at power-on"
        assert "ethernet0.generatedaddress" not in first

    def test_has_a_hardware_address_from_the_range_for_chosen_ones(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        make(driver)
        address = bytes.fromhex(vmware.machine("w-prod-1").get("ethernet0.address").replace(":", ""))
        assert address[:3] == bytes.fromhex("005056")
        assert address[3] < 0x40
        assert vmware.machine("w-prod-1").get("ethernet0.addressType") == "static"

    def test_is_given_its_boot_data_as_cloud_init_reads_it(
        self, vmware: Vmware, driver: Fusion, make: Make, node: MakeNode, boot: MakeBoot
    ) -> None:
        make(driver)
        machine = vmware.machine("w-prod-1")
        values = {
            name: decompress(b64decode(machine.get(f"guestinfo.{name}"))).decode() for name in ("userdata", "metadata")
        }
        assert values["userdata"] == boot(node()).user_data
        assert yaml.safe_load(values["metadata"]) == {"instance-id": "w-prod-1-1", "local-hostname": "w-prod-1"}
        assert machine.get("guestinfo.userdata.encoding") == "gzip+base64"

    def test_shows_its_disks_identity_and_asks_no_questions(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        make(driver)
        machine = vmware.machine("w-prod-1")
        assert machine.is_true("disk.EnableUUID")
        assert machine.is_true("msg.autoAnswer")
        assert machine.get("uuid.action") == "create"

    def test_keeps_what_the_template_says_otherwise(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        make(driver)
        machine = vmware.machine("w-prod-1")
        assert (machine.get("guestOS"), machine.get("ethernet0.connectionType")) == ("ubuntu-64", "nat")

    def test_forgets_an_earlier_life_of_the_template(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        with vmware.template.open("a") as template:
            template.write('guestinfo.vendordata = "old"\nkube-provision.stamp = "old"\n')
        make(driver)
        assert vmware.machine("w-prod-1").get("guestinfo.vendordata") == ""
        assert "w-prod-1" in vmware.machine("w-prod-1").get("kube-provision.stamp")

    def test_gets_a_new_address_for_every_network_card(self, vmware: Vmware, make: Make) -> None:
        template = vmware.add_template("debian arm.vmx")
        make(vmware.driver(template=str(template)))
        machine = vmware.machine("w-prod-1")
        assert len({machine.get(f"ethernet{n}.address")[:9] for n in (0, 1)}) == 1
        assert machine.get("ethernet0.address") != machine.get("ethernet1.address")

    def test_is_another_generation_than_the_template(self, vmware: Vmware, make: Make) -> None:
        make(vmware.driver(template=str(vmware.add_template("debian arm.vmx"))))
        assert vmware.machine("w-prod-1").get("vm.genid") == ""

    def test_lies_in_a_folder_for_its_owner_alone(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        make(driver)
        assert (vmware.vm_dir / "w-prod-1.vmwarevm").stat().st_mode & 0o777 == 0o700

    def test_never_has_secrets_in_a_programs_arguments(
        self, vmware: Vmware, driver: Fusion, make: Make, boot: MakeBoot, node: MakeNode
    ) -> None:
        make(driver)
        told = " ".join(argument for call in vmware.calls() for argument in call["argv"])
        assert vmware.machine("w-prod-1").get("guestinfo.userdata") not in told

    def test_starts_without_a_window(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        make(driver)
        (call,) = vmware.calls("start")
        assert call["argv"][-1] == "nogui"


class TestDisks:
    def test_of_a_full_clone_grow(self, vmware: Vmware, make: Make) -> None:
        make(vmware.driver(clone_type="full"), boot_disk_gib=40)
        (call,) = vmware.calls("-x")
        assert call["argv"][:2] == ["-x", "40GB"]

    def test_that_are_large_enough_stay(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        make(driver, boot_disk_gib=20)
        assert vmware.calls("-x") == []

    def test_for_data_are_plugged_in_beside_the_boot_disk(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        make(driver, data_volumes_gib=(100, 20))
        machine = vmware.machine("w-prod-1")
        for unit, name in ((1, "w-prod-1-data.vmdk"), (2, "w-prod-1-data-2.vmdk")):
            assert machine.get(f"scsi0:{unit}.fileName") == name
            assert machine.is_true(f"scsi0:{unit}.present")
            assert (vmware.vm_dir / "w-prod-1.vmwarevm" / name).exists()

    def test_for_data_fill_the_controller(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        make(driver, data_volumes_gib=(1,) * 14)
        machine = vmware.machine("w-prod-1")
        assert [unit for unit in range(17) if machine.is_true(f"scsi0:{unit}.present")] == [*range(7), *range(8, 16)]


class TestLinkedClones:
    def test_share_one_snapshot(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        for name in ("w-prod-1", "w-prod-2"):
            make(driver, name)
        make(vmware.driver(), "w-prod-3")
        (taken,) = vmware.calls("snapshot")
        used = {call["argv"][6] for call in vmware.calls("clone")}
        assert used == {f"-snapshot={taken['argv'][4]}"}

    def test_of_many_runs_at_once_share_one_snapshot(self, vmware: Vmware, make: Make) -> None:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda number: make(vmware.driver(), f"w-prod-{number}"), (1, 2, 3)))
        assert len(vmware.calls("snapshot")) == 1

    @pytest.mark.parametrize("changed", ["disk", "hardware"])
    def test_of_a_template_that_has_changed_start_from_a_new_snapshot(
        self, vmware: Vmware, driver: Fusion, make: Make, changed: str
    ) -> None:
        make(driver, "w-prod-1")
        if changed == "disk":
            (disk,) = vmware.template.parent.glob("Virtual Disk-000001-s001.vmdk")
            disk.write_bytes(disk.read_bytes() + b"more")
        else:
            vmware.template.write_text(vmware.template.read_text().replace('"nat"', '"bridged"'))
        make(driver, "w-prod-2")
        assert len(vmware.calls("snapshot")) == 2

    def test_start_from_a_new_snapshot_when_the_old_one_is_gone(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        make(driver, "w-prod-1")
        vmware.template.with_suffix(".vmsd").write_text("[]")
        make(driver, "w-prod-2")
        assert len(vmware.calls("snapshot")) == 2

    def test_start_from_the_snapshot_that_is_configured(self, vmware: Vmware, make: Make) -> None:
        vmware.vmrun().take_snapshot(vmware.template, "golden image")
        vmware.forget_calls()
        make(vmware.driver(snapshot="golden image"))
        assert "-snapshot=golden image" in vmware.calls("clone")[0]["argv"]
        assert vmware.calls("snapshot") == []

    def test_give_way_loudly_to_full_ones_where_the_edition_refuses(
        self, vmware: Vmware, driver: Fusion, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        vmware.be(edition="standard")
        with caplog.at_level(logging.WARNING):
            for name in ("w-prod-1", "w-prod-2"):
                make(driver, name)
        assert [call["argv"][5] for call in vmware.calls("clone")] == ["linked", "full", "full"]
        (warning,) = caplog.messages
        assert "makes no linked clones" in warning

    def test_are_not_tried_where_full_ones_are_meant(self, vmware: Vmware, make: Make) -> None:
        make(vmware.driver(clone_type="full"))
        assert [call["argv"][5] for call in vmware.calls("clone")] == ["full"]
        assert vmware.calls("snapshot") == []

    def test_and_all_others_are_told_from_an_edition_that_makes_none(
        self, vmware: Vmware, driver: Fusion, make: Make
    ) -> None:
        vmware.be(edition="player")
        with pytest.raises(TargetError, match="VMware Fusion Pro is needed"):
            make(driver)

    def test_are_made_one_after_another(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        vmware.be(clone_seconds=0.15)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda number: make(driver, f"w-prod-{number}"), (1, 2, 3)))
        calls = sorted(vmware.calls("clone"), key=lambda call: call["begun"])
        assert len(calls) == 3
        assert all(first["ended"] <= second["begun"] for first, second in pairwise(calls))


class TestStarting:
    def test_is_done_side_by_side_but_not_by_all_at_once(
        self, vmware: Vmware, driver: Fusion, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with vmware.fault("start", seconds=0.8), ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda number: make(driver, f"w-prod-{number}"), range(1, 6)))
        calls = vmware.calls("start")
        most = max(sum(other["begun"] <= call["begun"] < other["ended"] for other in calls) for call in calls)
        assert 2 <= most <= 3

    def test_that_vmrun_loses_sight_of_is_no_failure(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        with vmware.fault("start and lose", message="Cannot connect to the virtual machine"):
            make(driver)
        assert "w-prod-1" in vmware.running()

    def test_that_never_returns_is_no_failure_when_the_machine_runs(self, vmware: Vmware, make: Make) -> None:
        vmware.limits = replace(vmware.limits, start=2)
        with vmware.fault("start and lose", seconds=60):
            make(vmware.driver())
        assert "w-prod-1" in vmware.running()

    def test_that_fails_leaves_a_machine_that_the_next_run_starts(
        self, vmware: Vmware, driver: Fusion, make: Make, cluster: Cluster
    ) -> None:
        fault = vmware.fault("start", message="Not enough physical memory is available")
        with fault, pytest.raises(TargetError, match="Not enough physical memory"):
            make(driver)
        (vm,) = vmware.driver().list_vms(cluster=cluster)
        assert (vm.power, vm.complete, vm.stamp is not None) == (Power.OFF, True, True)
        make(vmware.driver())
        assert len(vmware.calls("clone")) == 1

    def test_after_a_crash_tells_the_locks_that_are_in_the_way(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        make(driver)
        vmware.pull_the_plug()
        with pytest.raises(TargetError, match=r"already in use\. Locks lie beside it \(w-prod-1\.vmx\.lck\)"):
            make(vmware.driver())

    def test_outlives_what_vmrun_leaves_behind(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        """A running machine keeps vmrun's output open."""
        vmware.be(clings=True)
        begun = time.monotonic()
        make(driver)
        assert time.monotonic() - begun < 60


class TestACreationThatIsCutShort:
    def leave_half(self, vmware: Vmware, node: Node) -> Path:
        """As a run leaves it that is killed while vmrun clones."""
        folder = vmware.vm_dir / f"{node.name}.vmwarevm"
        folder.mkdir()
        note.write(folder, note.Note(node.name, node.stamp, complete=False))
        (folder / f"{node.name}.vmx").write_bytes(b'.encoding = "UTF-8"\ndisplayName = "cl')
        (folder / "Virtual Disk-cl1.vmdk").write_text("half")
        return folder

    def test_is_found_with_its_stamp(self, vmware: Vmware, driver: Fusion, node: MakeNode, cluster: Cluster) -> None:
        self.leave_half(vmware, node())
        (vm,) = driver.list_vms(cluster=cluster)
        assert (vm.stamp, vm.power, vm.complete) == (node().stamp, Power.OFF, False)

    def test_is_done_anew(self, vmware: Vmware, driver: Fusion, node: MakeNode, cluster: Cluster, make: Make) -> None:
        folder = self.leave_half(vmware, node())
        make(driver)
        assert "half" not in (folder / "Virtual Disk-cl1.vmdk").read_text()
        (vm,) = driver.list_vms(cluster=cluster)
        assert (vm.power, vm.complete) == (Power.ON, True)

    def test_can_be_destroyed(self, vmware: Vmware, driver: Fusion, node: MakeNode, cluster: Cluster) -> None:
        folder = self.leave_half(vmware, node())
        (vm,) = driver.list_vms(cluster=cluster)
        driver.destroy_vm(vm=vm)
        assert not folder.exists()

    def test_before_the_clone_began_leaves_nothing_in_the_way(
        self, vmware: Vmware, driver: Fusion, cluster: Cluster, make: Make
    ) -> None:
        folder = vmware.vm_dir / "w-prod-1.vmwarevm"
        folder.mkdir()
        (folder / ".kube-provision.0123456789ab").write_text("{")
        (folder / ".DS_Store").touch()
        assert list(driver.list_vms(cluster=cluster)) == []
        make(driver)

    def test_by_vmrun_that_hangs_is_given_up_and_cleaned_up(self, vmware: Vmware, make: Make, cluster: Cluster) -> None:
        vmware.limits = replace(vmware.limits, linked_clone=0.5)
        with vmware.fault("half clone", seconds=60), pytest.raises(TimeLimitError, match=r"no answer within 0\.5 s"):
            make(vmware.driver())
        assert not (vmware.vm_dir / "w-prod-1.vmwarevm").exists()

    def test_after_everything_was_written_is_done_anew(
        self, vmware: Vmware, driver: Fusion, node: MakeNode, make: Make
    ) -> None:
        """The machine was never started, and nobody can know whether all of it is there."""
        with vmware.fault("start", message="no"), pytest.raises(TargetError):
            make(driver)
        note.write(vmware.vm_dir / "w-prod-1.vmwarevm", note.Note("w-prod-1", node().stamp, complete=False))
        make(driver)
        assert len(vmware.calls("clone")) == 2

    def test_in_another_cluster_of_that_name_is_left_alone(
        self, vmware: Vmware, driver: Fusion, node: MakeNode, make: Make
    ) -> None:
        folder = self.leave_half(vmware, node(cluster_id="00000000-0000-4000-8000-0000000000bb"))
        with pytest.raises(TargetError, match="left alone"):
            make(driver)
        assert (folder / "Virtual Disk-cl1.vmdk").read_text() == "half"


class TestARunThatIsKilled:
    CODE = """
import sys
from pathlib import Path
from servers.vmware import Vmware
from kube_provision_core.testing import boot_of, node_of

node = node_of("w-prod-1", cluster="prod", cluster_id=sys.argv[2])
Vmware(Path(sys.argv[1])).driver().provision_vm(node=node, boot=boot_of(node))
"""

    def test_leaves_the_next_one_waiting_until_vmrun_has_ended(
        self, vmware: Vmware, driver: Fusion, node: MakeNode, make: Make
    ) -> None:
        """vmrun goes on without its run, and must not write into what the next one makes."""
        vmware.be(clone_seconds=3)
        command = [sys.executable, "-c", self.CODE, str(vmware.root), node().stamp.cluster_id]
        path = str(Path(__file__).parents[3] / "tests")
        run = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
        while not any((vmware.state / "cloning").iterdir()):
            assert run.poll() is None
            time.sleep(0.02)
        run.kill()
        run.wait()
        vmware.be(clone_seconds=0)
        make(driver)
        first, second = vmware.calls("clone")
        assert first["ended"] <= second["begun"]
        assert "w-prod-1" in vmware.running()


class TestWhatIsInTheWay:
    def test_may_be_a_folder_without_a_machine(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        file = vmware.vm_dir / "w-prod-1.vmwarevm" / "holiday.jpg"
        file.parent.mkdir()
        file.touch()
        with pytest.raises(TargetError, match="left alone"):
            make(driver)
        assert file.exists()

    def test_may_be_a_copy_that_somebody_made_of_our_machine(
        self, vmware: Vmware, driver: Fusion, make: Make, cluster: Cluster
    ) -> None:
        make(driver, "w-prod-1")
        copy = vmware.vm_dir / "w-prod-2.vmwarevm"
        copy.mkdir()
        for file in (vmware.vm_dir / "w-prod-1.vmwarevm").iterdir():
            if file.is_file():
                (copy / file.name.replace("w-prod-1", "w-prod-2")).write_bytes(file.read_bytes())
        (vm,) = [vm for vm in driver.list_vms(cluster=cluster) if vm.name == "w-prod-2"]
        assert vm.stamp is None
        with pytest.raises(TargetError, match="left alone"):
            make(driver, "w-prod-2")

    def test_may_be_a_machine_that_workstation_would_name_so(
        self, vmware: Vmware, driver: Fusion, make: Make, cluster: Cluster
    ) -> None:
        (vmware.vm_dir / "w-prod-1").mkdir()
        (vmware.vm_dir / "w-prod-1" / "old.vmx").touch()
        with pytest.raises(TargetError, match="left alone"):
            make(driver)
        assert [vm.stamp for vm in driver.list_vms(cluster=cluster)] == [None]
        assert not (vmware.vm_dir / "w-prod-1.vmwarevm").exists()

    def test_may_be_a_link(self, vmware: Vmware, driver: Fusion, make: Make) -> None:
        elsewhere = vmware.root / "elsewhere"
        elsewhere.mkdir()
        (vmware.vm_dir / "w-prod-1.vmwarevm").symlink_to(elsewhere)
        with pytest.raises(TargetError, match="cannot be used"):
            make(driver)
        assert list(elsewhere.iterdir()) == []

    def test_may_be_a_file_system_without_locks(self, driver: Fusion, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        def unsupported(descriptor: int, operation: int) -> None:
            raise OSError(errno.ENOTSUP, "Operation not supported")

        monkeypatch.setattr("fcntl.flock", unsupported)
        with pytest.raises(TargetError, match=r"w-prod-1\.vmwarevm: cannot be locked.*not supported"):
            make(driver)

    def test_is_waited_for_while_another_run_works_on_it(self, vmware: Vmware, node: MakeNode, make: Make) -> None:
        vmware.be(clone_seconds=0.5)
        first = threading.Thread(target=make, args=(vmware.driver(),))
        first.start()
        time.sleep(0.1)
        make(vmware.driver())
        first.join()
        assert len(vmware.calls("clone")) == 1
