"""`provision_vm`: one machine per name, whoever asks, however often, and whatever became of it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from ... import Cluster, Machine, Power, Role, Vm
from ..connected import Connected
from ..offers import offered
from ..samples import boot_of, node_of
from .fixtures import NAMES, WORKER, TargetFixtures, at_once, make, one, ours

Connect = Callable[[], Connected]


class CreationChecks(TargetFixtures):
    def test_provision_vm_returns_the_machine_powered_on_and_stamped(self, driver: Connected) -> None:
        vm = make(driver)
        assert (vm.name, vm.power, vm.stamp) == (WORKER.name, Power.ON, WORKER.stamp)
        assert vm.id, "it has no identifier"

    def test_provision_vm_is_idempotent_by_name(self, connect: Connect, cluster: Cluster) -> None:
        first, second = (make(connect()) for _ in range(2))
        assert first.id == second.id, "a second call made another machine, or lost the first one"
        assert len(ours(connect(), cluster)) == 1

    def test_provision_vm_answers_soon(self, driver: Connected) -> None:
        """It returns at power-on: nobody waits for an address in it."""
        self.soon(lambda: make(driver))

    def test_many_machines_can_be_made_at_once(self, driver: Connected, cluster: Cluster) -> None:
        vms = at_once([partial(make, driver, node_of(name)) for name in NAMES])
        assert len({vm.id for vm in vms}) == len(NAMES), "two machines share an identity"
        assert set(ours(driver, cluster)) == set(NAMES)

    def test_one_machine_asked_for_twice_at_once_is_made_once(self, driver: Connected, cluster: Cluster) -> None:
        vms = at_once([partial(make, driver)] * 4)
        assert len({vm.id for vm in vms}) == 1
        assert len(ours(driver, cluster)) == 1

    def test_two_runs_at_once_make_one_machine(self, connect: Connect, cluster: Cluster) -> None:
        vms = at_once([partial(make, connect()) for _ in range(4)])
        assert len({vm.id for vm in vms}) == 1
        assert len(ours(connect(), cluster)) == 1

    def test_a_machine_that_is_off_is_started_and_stays_the_same(
        self, driver: Connected, cluster: Cluster, power_off: Callable[[Vm], None] | None
    ) -> None:
        vm = make(driver)
        offered(power_off, "power_off")(vm)
        again = make(driver)
        assert (again.id, again.power) == (vm.id, Power.ON)
        assert one(driver, cluster).power is Power.ON, "it was said to be started, and is off"

    def test_a_machine_has_the_size_that_was_asked_for(
        self, driver: Connected, read_size: Callable[[Vm], Machine] | None
    ) -> None:
        found, wished = offered(read_size, "read_size")(make(driver)), WORKER.machine
        assert (found.cpu, found.memory_gib) == (wished.cpu, wished.memory_gib)

    @pytest.mark.parametrize("sizes", [(), (1,), (2, 1, 2)], ids=str)
    def test_a_machine_has_the_further_disks_that_were_asked_for(
        self, driver: Connected, read_size: Callable[[Vm], Machine] | None, sizes: tuple[int, ...]
    ) -> None:
        """As many, and of these sizes: the machine itself tells them apart by nothing else."""
        read = offered(read_size, "read_size")
        vm = make(driver, replace(WORKER, machine=replace(WORKER.machine, data_volumes_gib=sizes)))
        assert tuple(read(vm).data_volumes_gib) == sizes

    @pytest.mark.parametrize("role", Role)
    def test_a_machine_is_made_as_its_role_is_configured(
        self, driver: Connected, read_role: Callable[[Vm], Role] | None, role: Role
    ) -> None:
        assert offered(read_role, "read_role")(make(driver, node_of("x-contract-1", role))) is role

    def test_a_machine_that_is_made_again_begins_afresh(
        self,
        driver: Connected,
        cluster: Cluster,
        read_boot_data: Callable[[Vm], str] | None,
        publish: Callable[[Vm, str], None] | None,
    ) -> None:
        read, say = offered(read_boot_data, "read_boot_data"), offered(publish, "publish")
        vm = make(driver)
        say(vm, '{"stage": "finish", "state": "done"}')
        driver.scrub_boot(vm=vm)
        driver.destroy_vm(vm=vm)
        again = make(driver, boot=boot_of(WORKER, instance="2", secret="another"))  # noqa: S106 - none at all
        seen = one(driver, cluster)
        assert "another" in read(again), "it has the boot data of the machine that was destroyed"
        assert (seen.status, seen.scrubbed) == (None, False), "it bears what the machine said that was destroyed"
