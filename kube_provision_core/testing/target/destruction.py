"""`destroy_vm`: the machine with the disks that it was made with, all of it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ... import Cluster, TargetError, Vm
from ..connected import Connected
from ..offers import answering, offered
from ..samples import SECRET, node_of
from .fixtures import WORKER, TargetFixtures, at_once, listed, make, ours


class DestructionChecks(TargetFixtures):
    def test_destroy_vm_removes_the_machine_and_may_be_repeated(self, driver: Connected, cluster: Cluster) -> None:
        answering(driver, "destroy_vm")
        vm = make(driver)
        assert driver.destroy_vm(vm=vm) is True
        assert listed(driver, cluster) == [], "it is still there"
        assert driver.destroy_vm(vm=vm) is True, "a machine that is gone already is no failure"

    def test_destroy_vm_removes_a_machine_that_another_run_made(
        self, connect: Callable[[], Connected], cluster: Cluster
    ) -> None:
        answering(connect(), "destroy_vm")
        make(connect())
        (vm,) = listed(connect(), cluster)
        assert connect().destroy_vm(vm=vm) is True
        assert listed(connect(), cluster) == []

    def test_destroy_vm_leaves_all_others(self, driver: Connected, cluster: Cluster) -> None:
        """Also those whose name begins as this one's does."""
        answering(driver, "destroy_vm")
        others = [node_of(name) for name in ("w-contract-10", "w-contract-2", "aw-contract-1")]
        for node in others:
            make(driver, node)
        driver.destroy_vm(vm=make(driver))
        assert set(ours(driver, cluster)) == {node.name for node in others}

    def test_destroy_vm_removes_a_machine_that_is_off(
        self, driver: Connected, cluster: Cluster, power_off: Callable[[Vm], None] | None
    ) -> None:
        answering(driver, "destroy_vm")
        vm = make(driver)
        offered(power_off, "power_off")(vm)
        assert driver.destroy_vm(vm=vm) is True
        assert listed(driver, cluster) == []

    def test_destroy_vm_may_be_called_twice_at_once(self, driver: Connected, cluster: Cluster) -> None:
        answering(driver, "destroy_vm")
        vm = make(driver)
        assert at_once([partial(driver.destroy_vm, vm=vm)] * 2) == [True, True]
        assert listed(driver, cluster) == []

    def test_destroy_vm_leaves_no_boot_data_behind(
        self, driver: Connected, find_text: Callable[[str], Sequence[str]] | None
    ) -> None:
        answering(driver, "destroy_vm")
        find, vm = offered(find_text, "find_text"), make(driver)
        assert find(SECRET), "find_text does not find what provision_vm delivered"
        driver.destroy_vm(vm=vm)
        assert not find(SECRET), f"its boot data is still at {find(SECRET)}"

    def test_a_disk_attached_after_creation_survives(
        self, driver: Connected, cluster: Cluster, attach_disk: Callable[[Vm], Callable[[], bool]] | None
    ) -> None:
        answering(driver, "destroy_vm")
        vm = make(driver)
        exists = offered(attach_disk, "attach_disk")(vm)
        assert exists(), "attach_disk has attached nothing"
        try:
            driver.destroy_vm(vm=vm)
        except TargetError:
            assert set(ours(driver, cluster)) == {WORKER.name}, "the destruction was refused, and the machine is gone"
        else:
            assert not ours(driver, cluster), "destroy_vm did nothing, and said that the machine is gone"
        assert exists(), "destroy_vm deleted a disk that was attached after the machine was made"
