"""Machines through the driver's hooks: made, found, powered off and on, destroyed. They have no operating system."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.qemu import CLUSTER, boot, node

from kube_provision_core import NodeStatus, Power, Role, Stage, TargetError, Vm
from kube_provision_qemu import command, files, power, processes, qmp, record
from kube_provision_qemu.driver import Qemu
from kube_provision_qemu.power import Bounds
from kube_provision_qemu.record import Record

pytestmark = pytest.mark.integration

WORKER = node("w-home-1")


def provision(driver: Qemu, name: str = "w-home-1", role: Role = Role.WORKER, index: int = 1, **size: Any) -> Vm:
    machine = node(name, role, index, **size)
    return driver.provision_vm(node=machine, boot=boot(machine))


def only(driver: Qemu) -> Vm:
    (vm,) = driver.list_vms(cluster=CLUSTER)
    return vm


def power_off(vm: Vm) -> None:
    processes.kill(Path(vm.id) / "pid")


def test_addresses_are_the_same_whatever_is_made_first(driver: Qemu) -> None:
    made = [
        provision(driver, "w-home-2", Role.WORKER, 2),
        provision(driver, "m-home-1", Role.MASTER, 1),
        provision(driver, "consul-home", Role.DISCOVERY, 0),
    ]
    assert [vm.address for vm in made] == ["10.0.2.22", "10.0.2.11", "10.0.2.10"]


def test_a_machine_that_is_made_anew_gets_its_address_back(driver: Qemu) -> None:
    first = provision(driver)
    provision(driver, "w-home-2", index=2)
    driver.destroy_vm(vm=first)
    assert provision(driver).address == first.address


def test_this_host_has_ports_for_what_it_calls(driver: Qemu) -> None:
    assert set(provision(driver, "m-home-1", Role.MASTER).reach) == {22, 2379, 6443}
    assert set(provision(driver, "consul-home", Role.DISCOVERY, 0).reach) == {22, 8500, 8501}


def test_more_ports_can_be_asked_for(make_driver: Callable[..., Qemu]) -> None:
    assert set(provision(make_driver(forwarded_ports=[30080])).reach) == {22, 30080}


def test_a_machine_that_is_powered_off_is_found_and_has_no_address(driver: Qemu) -> None:
    power_off(provision(driver))
    found = only(driver)
    assert (found.power, found.address, found.reach, found.on_since) == (Power.OFF, None, {}, None)


def test_a_machine_that_runs_tells_since_when(driver: Qemu) -> None:
    before = time.time()
    assert before - 1 < (provision(driver).on_since or 0) < time.time() + 1


def test_a_machine_that_is_powered_off_is_resumed_with_its_disk_and_seed(driver: Qemu) -> None:
    before = provision(driver)
    power_off(before)
    seed, disk = ((Path(before.id) / name).stat().st_ino for name in ("seed.iso", "boot.qcow2"))
    assert provision(driver) == before
    assert [(Path(before.id) / name).stat().st_ino for name in ("seed.iso", "boot.qcow2")] == [seed, disk]


def test_machines_are_resumed_after_the_host_was_rebooted(driver: Qemu, vm_dir: Path) -> None:
    """What a power cut leaves: pid files of processes that are gone, whose numbers others may bear, and nobody's sockets."""
    before = provision(driver)
    network = vm_dir / "networks/home"
    for pid_file in (Path(before.id) / "pid", network / "pid", network / "switch.pid"):
        os.kill(files.holder(pid_file) or 0, signal.SIGKILL)
        assert processes.wait_gone(pid_file, 5)
        pid_file.write_text(f"{os.getpid()}\n")
    assert only(driver).power is Power.OFF
    assert provision(driver) == before


def test_a_machine_that_is_paused_goes_on(driver: Qemu) -> None:
    vm = provision(driver)
    with qmp.session(Path(vm.id) / "qmp.sock") as session:
        session.execute("stop")
    assert only(driver).power is Power.SUSPENDED
    assert provision(driver).power is Power.ON
    assert only(driver).power is Power.ON


def test_another_machine_behind_the_socket_is_left_alone(driver: Qemu) -> None:
    vm = provision(driver)
    record = Path(vm.id) / "machine.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"uuid": "00000000-0000-4000-8000-000000000000"}))
    with pytest.raises(TargetError, match="answers there, not w-home-1; it is left alone"):
        driver.destroy_vm(vm=vm)
    assert files.holder(Path(vm.id) / "pid")


def test_two_runs_that_make_one_machine_at_once_make_it_once(make_driver: Callable[..., Qemu]) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(provision, [make_driver(), make_driver()])
    assert first == second


def test_a_machine_at_which_another_run_is_at_work_is_waited_for_and_then_refused(
    driver: Qemu, vm_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOCK_TIMEOUT", 0.2)
    with (
        files.locked(vm_dir / "locks/machine-w-home-1", "the machine"),
        pytest.raises(TargetError, match="machine w-home-1: another run is at work on it"),
    ):
        provision(driver)


def test_what_a_killed_run_left_half_made_is_cleared_away(driver: Qemu, vm_dir: Path) -> None:
    (vm_dir / "machines/.w-home-1.0a1b2c3d/seed.iso").parent.mkdir(parents=True)
    provision(driver)
    assert sorted(path.name for path in (vm_dir / "machines").iterdir()) == ["w-home-1"]


def test_nothing_is_left_of_a_cluster_whose_machines_are_destroyed(driver: Qemu, vm_dir: Path) -> None:
    vms = [provision(driver), provision(driver, "w-home-2", index=2)]
    pids = [files.holder(path) for path in vm_dir.glob("*/*/*pid")]
    for vm in vms:
        assert driver.destroy_vm(vm=vm) is True
    assert len(pids) == 4
    assert [path for path in vm_dir.rglob("*") if path.parent.name != "locks" and path.is_file()] == []
    assert [path.name for path in (vm_dir / "networks").iterdir()] == []


def test_a_machine_that_does_not_answer_is_ended_all_the_same(driver: Qemu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmp, "TIMEOUT", 0.3)
    monkeypatch.setattr(processes, "KILL_TIMEOUT", 0.3)
    vm = provision(driver)
    pid = files.holder(Path(vm.id) / "pid")
    os.kill(pid or 0, signal.SIGSTOP)
    driver.destroy_vm(vm=vm)
    assert not Path(vm.id).exists()


def test_a_system_that_does_not_feel_its_button_yet_is_pressed_again(
    make_driver: Callable[..., Qemu], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine never has one that feels it: what has asked it last ends it."""
    presses: list[str] = []

    def ask(record: Record, folder: Path, command: str) -> bool:
        presses.append(command)
        return really(record, folder, "quit" if presses.count("system_powerdown") == 3 else command)

    really = power._ask
    monkeypatch.setattr(power, "_ask", ask)
    monkeypatch.setattr(power, "PRESS_AGAIN", 0.2)
    driver = make_driver(powerdown=30.0)
    driver.destroy_vm(vm=provision(driver))
    assert presses == ["system_powerdown"] * 3


def test_a_node_may_take_for_its_shutdown_what_systemd_gives_its_services() -> None:
    assert Bounds().powerdown > 90


def test_disks_grow_and_never_shrink(driver: Qemu) -> None:
    vm = provision(driver, boot_disk_gib=3, data_volumes_gib=(2, 1, 2))
    sizes = [_virtual_size(Path(vm.id) / f"{name}.qcow2") for name in ("boot", "data", "data-2", "data-3")]
    assert sizes == [size * 1024**3 for size in (3, 2, 1, 2)]


def _virtual_size(disk: Path) -> int:
    said = subprocess.run(["qemu-img", "info", "-U", "--output=json", disk], capture_output=True, check=True, timeout=60)
    return int(json.loads(said.stdout)["virtual-size"])


def test_a_machine_starts_with_as_many_further_disks_as_preflight_lets_pass(driver: Qemu) -> None:
    room = command.room_for_data_disks(cards=1)
    most, more = (node("w-home-1", data_volumes_gib=(1,) * count) for count in (room, room + 1))
    assert list(driver.preflight(machines=[(most, boot(most))])) == []
    assert list(driver.preflight(machines=[(more, boot(more))])) == [
        f"data_volumes: {room + 1} wanted, and a machine of QEMU has room for {room} more disks; give fewer"
    ]
    vm = driver.provision_vm(node=most, boot=boot(most))
    with qmp.session(Path(vm.id) / "qmp.sock") as session:
        assert sum(disk["device"].startswith("data") for disk in session.execute("query-block")) == room


def test_what_a_machine_with_one_further_disk_is_can_be_read_and_written_by_earlier_versions(driver: Qemu) -> None:
    vm = provision(driver, data_volumes_gib=(1,))
    said = json.loads((Path(vm.id) / "machine.json").read_text())
    assert said["has_data_disk"] is True
    assert "data_disk_count" not in said
    made = record.read(Path(vm.id))
    assert made
    assert made.data_disks == ("data.qcow2",)


@pytest.mark.parametrize("name", ["boot.qcow2", "data-2.qcow2"])
def test_a_corrupt_disk_is_told_before_the_machine_is_started(driver: Qemu, name: str) -> None:
    vm = provision(driver, data_volumes_gib=(1, 1))
    power_off(vm)
    disk = Path(vm.id) / name
    with disk.open("r+b") as file:
        file.seek(0x10000)  # the table of reference counts
        file.write(b"\xff" * 64)
    with pytest.raises(TargetError, match=rf"w-home-1: its disk .*/{name} is corrupt .*Destroy the machine"):
        provision(driver)
    assert only(driver).power is Power.OFF


def test_a_template_that_was_rewritten_is_told_before_the_machine_is_started(
    make_driver: Callable[..., Qemu], template: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.qcow2"
    own.write_bytes(template.read_bytes())
    driver = make_driver(template=own)
    power_off(provision(driver))
    os.utime(own, (1, 1))
    with pytest.raises(TargetError, match=r"own.qcow2 was changed after the machine was made from it"):
        provision(driver)


def test_a_template_behind_a_link_may_be_replaced_by_a_newer_one(
    make_driver: Callable[..., Qemu], template: Path, tmp_path: Path
) -> None:
    link = tmp_path / "current.qcow2"
    link.symlink_to(template)
    driver = make_driver(template=link)
    before = provision(driver)
    power_off(before)
    link.unlink()
    newer = tmp_path / "newer.qcow2"
    newer.write_bytes(template.read_bytes())
    link.symlink_to(newer)
    assert provision(driver) == before


def test_a_machine_that_cannot_be_started_is_there_and_is_started_by_the_next_run(
    driver: Qemu, make_driver: Callable[..., Qemu]
) -> None:
    vm = provision(driver)
    power_off(vm)
    console = Path(vm.id) / "console.log"
    console.unlink()
    console.mkdir()
    with pytest.raises(TargetError, match=r"qemu-system-x86_64 ended at once: .*console.log"):
        provision(driver)
    assert only(driver).power is Power.OFF
    console.rmdir()
    assert provision(make_driver()).power is Power.ON


def test_a_foreign_folder_is_told_and_left_alone(driver: Qemu, vm_dir: Path) -> None:
    precious = vm_dir / "machines/w-home-1/precious"
    precious.parent.mkdir(parents=True)
    precious.touch()
    with pytest.raises(TargetError, match=r"machines/w-home-1 is not this cluster's machine; it is left alone"):
        provision(driver)
    (seen,) = driver.list_vms(cluster=replace(CLUSTER, names=frozenset({"w-home-1"})))
    assert seen.stamp is None
    assert precious.exists()


def test_a_full_disk_is_told_and_leaves_nothing(make_driver: Callable[..., Qemu], tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", full], capture_output=True, timeout=60)
    assert mounted.returncode == 0, f"this test mounts a small file system: {mounted.stderr.decode()}"
    try:
        with pytest.raises(TargetError, match="No space left on device"):
            provision(make_driver(vm_dir=full))
        assert list((full / "machines").iterdir()) == []
    finally:
        subprocess.run(["umount", full], check=True, timeout=60)


def test_the_last_status_is_told_whatever_else_the_guest_wrote(driver: Qemu) -> None:
    vm = provision(driver)
    with (Path(vm.id) / "status").open("a") as status:
        status.write('{"stage": "join", "state": "failed", "error": "no route"}\n\x00garbage\n{"stage": "fin')
    assert only(driver).status == NodeStatus(Stage.JOIN, "failed", "no route")


def test_a_machine_that_is_powered_on_again_has_told_nothing_yet(driver: Qemu) -> None:
    vm = provision(driver)
    (Path(vm.id) / "status").write_text('{"stage": "finish", "state": "done", "error": ""}\n')
    power_off(vm)
    assert only(driver).status == NodeStatus(Stage.FINISH, "done")
    assert provision(driver).status is None


def test_a_scrubbed_seed_is_as_long_as_before_and_still_says_who_the_machine_is(driver: Qemu) -> None:
    vm = driver.provision_vm(node=WORKER, boot=boot(WORKER, "#cloud-config\nsecret: 0pen-sesame\n"))
    seed = Path(vm.id) / "seed.iso"
    before = seed.read_bytes()
    assert b"0pen-sesame" in before
    driver.scrub_boot(vm=vm)
    after = seed.read_bytes()
    assert (len(after), b"0pen-sesame" in after, b"w-home-1-1" in after) == (len(before), False, True)
    assert only(driver).scrubbed


def test_nobody_else_may_read_what_a_machine_is_made_of(driver: Qemu, vm_dir: Path) -> None:
    provision(driver)
    open_to_others = [path for path in [vm_dir, *vm_dir.rglob("*")] if path.stat().st_mode & 0o077]
    assert open_to_others == []


def test_no_process_is_given_secrets_of_the_environment(driver: Qemu, vm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE_PROVISION_VCENTER_PASSWORD", "0pen-sesame")
    provision(driver)
    pids = [files.holder(path) for path in vm_dir.glob("*/*/*pid")]
    told: list[Any] = [pid for pid in pids if b"0pen-sesame" in Path(f"/proc/{pid}/environ").read_bytes()]
    assert told == []
