"""`restamp_vm`: another stamp takes the place of a machine's own, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ... import Cluster, TargetError, Vm
from ..connected import Connected
from ..offers import answering, offered
from ..samples import OTHER_ID, node_of
from .fixtures import NAMES, WORKER, TargetFixtures, make, one, ours

AFTER = replace(WORKER.stamp, spec="ba9876543210", made_of={"core": {"kubelet": {"maxPods": 200}}})
"""As it is once something was applied to the machine."""


class StampingChecks(TargetFixtures):
    def test_restamp_vm_rewrites_the_stamp_of_one_machine_and_nothing_else(
        self, connect: Callable[[], Connected], cluster: Cluster
    ) -> None:
        driver = connect()
        answering(driver, "restamp_vm")
        vm, neighbour = make(driver), make(driver, node_of(NAMES[2]))
        before = ours(connect(), cluster)
        assert driver.restamp_vm(vm=vm, stamp=AFTER) is True
        for looking in (driver, connect()):
            found = ours(looking, cluster)
            assert found[vm.name].stamp == AFTER, "its stamp is not the one that was written"
            assert _lasting(replace(found[vm.name], stamp=vm.stamp)) == _lasting(before[vm.name])
            assert _lasting(found[neighbour.name]) == _lasting(before[neighbour.name])

    def test_restamp_vm_may_be_repeated(self, connect: Callable[[], Connected], cluster: Cluster) -> None:
        """By whoever was killed before it knew, and looks at the machine as it was before, or anew."""
        answering(connect(), "restamp_vm")
        vm = make(connect())
        assert connect().restamp_vm(vm=vm, stamp=AFTER) is True
        assert connect().restamp_vm(vm=vm, stamp=AFTER) is True
        assert connect().restamp_vm(vm=one(connect(), cluster), stamp=AFTER) is True
        assert one(connect(), cluster).stamp == AFTER

    def test_a_machine_that_was_restamped_is_taken_over_started_and_destroyed(
        self, driver: Connected, cluster: Cluster
    ) -> None:
        answering(driver, "restamp_vm")
        driver.restamp_vm(vm=make(driver), stamp=AFTER)
        assert make(driver).stamp == AFTER
        assert driver.destroy_vm(vm=one(driver, cluster)) is True
        assert ours(driver, cluster) == {}

    @pytest.mark.parametrize("other", ["another cluster's", "made anew"])
    def test_a_machine_whose_stamp_is_another_one_is_never_restamped(
        self, driver: Connected, cluster: Cluster, other: str
    ) -> None:
        answering(driver, "restamp_vm")
        there = node_of(WORKER.name, cluster_id=OTHER_ID)
        if other == "made anew":
            there = replace(WORKER, stamp=replace(WORKER.stamp, instance="another one"))
        vm = make(driver, there)
        with pytest.raises(TargetError):
            driver.restamp_vm(vm=replace(vm, stamp=WORKER.stamp), stamp=AFTER)
        assert one(driver, cluster).stamp == there.stamp

    def test_a_foreign_machine_is_never_stamped(
        self, driver: Connected, cluster: Cluster, create_foreign: Callable[[str], None] | None
    ) -> None:
        answering(driver, "restamp_vm")
        offered(create_foreign, "create_foreign")(WORKER.name)
        foreign = one(driver, cluster)
        with pytest.raises(TargetError):
            driver.restamp_vm(vm=replace(foreign, stamp=WORKER.stamp), stamp=AFTER)
        assert one(driver, cluster) == foreign


def _lasting(vm: Vm) -> Vm:
    """Without what a machine that was just powered on comes by meanwhile."""
    return replace(vm, addresses=(), notice="", status=None)
