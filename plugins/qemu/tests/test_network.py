"""The network of a cluster: taken ports, killed processes, deep folders."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.qemu import CLUSTER, boot, node

from kube_provision_core import Power, TargetError, Vm
from kube_provision_qemu import files, forwards, network, processes, qmp, wire
from kube_provision_qemu.driver import Qemu

pytestmark = pytest.mark.integration


CROWDED = "w-home-9"
"""A name decides which ports are tried, so no other file's machine that may run meanwhile has this one."""


def provision(driver: Qemu, name: str = "w-home-1", index: int = 1) -> Vm:
    machine = node(name, index=index)
    return driver.provision_vm(node=machine, boot=boot(machine))


@pytest.fixture
def taken() -> socket.socket:
    """The first choice of a port for the machine's SSH, in somebody else's hands."""
    listener = socket.create_server(("127.0.0.1", next(forwards.candidates(CROWDED, 22))))
    with listener:
        yield listener


def test_a_port_that_is_taken_is_passed_over(driver: Qemu, taken: socket.socket) -> None:
    endpoint = provision(driver, CROWDED).reach[22]
    assert endpoint.port != taken.getsockname()[1]
    socket.create_connection((endpoint.host, endpoint.port), timeout=5).close()


def test_a_port_stays_the_same_for_as_long_as_the_machine_lives(driver: Qemu, taken: socket.socket) -> None:
    before = provision(driver, CROWDED)
    taken.close()
    processes.kill(Path(before.id) / "pid")
    assert provision(driver, CROWDED).reach == before.reach


def test_no_free_port_at_all_is_told(driver: Qemu, taken: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "MOST_TRIES", 1)
    with pytest.raises(TargetError, match=rf"{CROWDED}: none of 1 ports of this host .* is free for its port 22"):
        provision(driver, CROWDED)
    (left,) = driver.list_vms(cluster=CLUSTER)
    assert (left.power, left.stamp) == (Power.OFF, node(CROWDED).stamp)


def test_ports_of_a_machine_that_is_gone_are_closed(driver: Qemu) -> None:
    provision(driver, "w-home-2", 2)
    gone = provision(driver)
    driver.destroy_vm(vm=gone)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((gone.reach[22].host, gone.reach[22].port), timeout=5)


def test_two_clusters_have_networks_of_their_own(driver: Qemu) -> None:
    here = provision(driver)
    elsewhere = node("w-away-1", cluster="away")
    there = driver.provision_vm(node=elsewhere, boot=boot(elsewhere))
    assert here.address == there.address
    assert here.reach[22] != there.reach[22]


@pytest.mark.parametrize("killed", ["switch.pid", "pid"])
def test_a_process_of_the_network_that_was_killed_is_started_by_the_next_look(
    driver: Qemu, vm_dir: Path, killed: str
) -> None:
    before, pid_file = provision(driver), vm_dir / "networks/home" / killed
    processes.kill(pid_file)
    (after,) = driver.list_vms(cluster=CLUSTER)
    assert files.holder(pid_file)
    assert after == before
    assert all(_is_connected(folder) for folder in (Path(after.id), vm_dir / "networks/home"))


def _is_connected(folder: Path) -> bool:
    with qmp.session(folder / "qmp.sock") as session:
        return wire.is_connected(session)


def test_a_network_that_cannot_be_brought_back_hides_no_machine(
    driver: Qemu, make_driver: Callable[..., Qemu], vm_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provision(driver)
    processes.kill(vm_dir / "networks/home/pid")
    (seen,) = make_driver(qemu_binary="qemu-system-nowhere").list_vms(cluster=CLUSTER)
    assert seen.power is Power.ON
    assert "the network of cluster home is down: qemu-system-nowhere is not installed" in caplog.text


def test_a_folder_may_be_deeper_than_a_socket_path_is_long(make_driver: Callable[..., Qemu], vm_dir: Path) -> None:
    deep = vm_dir.joinpath(*["a-folder-with-a-rather-long-name"] * 5)
    driver = make_driver(vm_dir=deep)
    try:
        assert provision(driver).power is Power.ON
        (seen,) = driver.list_vms(cluster=CLUSTER)
        assert driver.destroy_vm(vm=seen) is True
    finally:
        for pid_file in deep.glob("*/*/*pid"):
            processes.kill(pid_file)
