"""`start_vm`: a machine that exists runs again, and is the same one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ... import Cluster, Power, Vm
from ..connected import Connected
from ..offers import answering, offered
from ..samples import SECRET
from .fixtures import TargetFixtures, make, one

PowerOff = Callable[[Vm], None]


class StartingChecks(TargetFixtures):
    def test_start_vm_starts_a_machine_that_is_off_and_changes_nothing_else(
        self, driver: Connected, cluster: Cluster, power_off: PowerOff | None
    ) -> None:
        off = self._off(driver, cluster, power_off)
        assert driver.start_vm(vm=off) is True
        on = one(driver, cluster)
        assert on.power is Power.ON, "it was said to be started, and is not"
        same = replace(off, power=on.power, addresses=on.addresses, reach=on.reach, notice=on.notice)
        assert on == same, "something else has changed"

    def test_start_vm_may_be_repeated(self, driver: Connected, cluster: Cluster) -> None:
        answering(driver, "start_vm")
        vm = make(driver)
        assert driver.start_vm(vm=vm) is True, "of one that runs already it says something else"
        assert one(driver, cluster).power is Power.ON

    def test_start_vm_keeps_the_boot_data(
        self,
        driver: Connected,
        cluster: Cluster,
        power_off: PowerOff | None,
        read_boot_data: Callable[[Vm], str] | None,
    ) -> None:
        read = offered(read_boot_data, "read_boot_data")
        off = self._off(driver, cluster, power_off)
        driver.start_vm(vm=off)
        assert SECRET in read(off), "one that had not finished its boot has lost what it boots with"

    def test_start_vm_brings_no_secret_back(
        self,
        driver: Connected,
        cluster: Cluster,
        power_off: PowerOff | None,
        read_boot_data: Callable[[Vm], str] | None,
    ) -> None:
        answering(driver, "start_vm", "scrub_boot")
        read, stop = offered(read_boot_data, "read_boot_data"), offered(power_off, "power_off")
        driver.scrub_boot(vm=make(driver))
        vm = one(driver, cluster)
        stop(vm)
        driver.start_vm(vm=vm)
        assert SECRET not in read(vm), "it was scrubbed, and has its secrets again"
        assert one(driver, cluster).scrubbed

    def _off(self, driver: Connected, cluster: Cluster, power_off: PowerOff | None) -> Vm:
        """A machine without power."""
        answering(driver, "start_vm")
        vm = make(driver)
        offered(power_off, "power_off")(vm)
        return one(driver, cluster)
