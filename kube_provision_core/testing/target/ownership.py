"""Whose a machine is, is looked at again before anything is changed; what is somebody else's stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from ... import Cluster, Node, TargetError, Vm
from ..connected import Connected
from ..offers import answering, offered
from ..samples import OTHER_ID, SECRET, boot_of, node_of
from .fixtures import WORKER, TargetFixtures, listed, make, one

Create = Callable[[str], None]
OTHERS = node_of(WORKER.name, cluster_id=OTHER_ID)
"""A machine of the same name, of another cluster that bears the same name."""


class OwnershipChecks(TargetFixtures):
    def test_a_foreign_machine_is_listed_without_stamp_and_never_taken(
        self, driver: Connected, cluster: Cluster, create_foreign: Create | None
    ) -> None:
        offered(create_foreign, "create_foreign")(WORKER.name)
        with pytest.raises(TargetError):
            make(driver)
        assert one(driver, cluster).stamp is None

    @pytest.mark.parametrize("hook", ["destroy_vm", "scrub_boot", "start_vm"])
    def test_a_foreign_machine_is_never_changed(
        self, driver: Connected, cluster: Cluster, create_foreign: Create | None, hook: str
    ) -> None:
        """Whatever the caller believes: the stamp that counts is the one on the machine."""
        answering(driver, hook)
        offered(create_foreign, "create_foreign")(WORKER.name)
        foreign = one(driver, cluster)
        with pytest.raises(TargetError):
            getattr(driver, hook)(vm=replace(foreign, stamp=WORKER.stamp))
        assert one(driver, cluster) == foreign

    def test_what_has_taken_the_place_of_a_destroyed_machine_survives(
        self, driver: Connected, cluster: Cluster, create_foreign: Create | None
    ) -> None:
        create, vm = offered(create_foreign, "create_foreign"), make(driver)
        driver.destroy_vm(vm=vm)
        create(WORKER.name)
        with suppress(TargetError):  # both will do: ours is gone, and there is one that is not ours
            driver.destroy_vm(vm=vm)
        assert one(driver, cluster).stamp is None

    @pytest.mark.parametrize("other", [OTHERS, node_of(WORKER.name, cluster="elsewhere", cluster_id=OTHER_ID)])
    def test_a_machine_of_another_cluster_is_never_taken(self, driver: Connected, cluster: Cluster, other: Node) -> None:
        vm = make(driver, other)
        with pytest.raises(TargetError):
            make(driver)
        assert (one(driver, cluster).id, one(driver, cluster).stamp) == (vm.id, other.stamp)

    @pytest.mark.parametrize("hook", ["destroy_vm", "scrub_boot", "start_vm"])
    def test_a_machine_of_another_cluster_is_never_changed(self, driver: Connected, cluster: Cluster, hook: str) -> None:
        """Two clusters may have borne one name."""
        answering(driver, hook)
        vm = make(driver, OTHERS)
        with pytest.raises(TargetError):
            getattr(driver, hook)(vm=replace(vm, stamp=WORKER.stamp))
        assert one(driver, cluster).stamp == OTHERS.stamp
        assert not one(driver, cluster).scrubbed

    def test_another_clusters_secrets_stay_in_place(
        self, driver: Connected, read_boot_data: Callable[[Vm], str] | None
    ) -> None:
        answering(driver, "scrub_boot")
        read, vm = offered(read_boot_data, "read_boot_data"), make(driver, OTHERS)
        with pytest.raises(TargetError):
            driver.scrub_boot(vm=replace(vm, stamp=WORKER.stamp))
        assert SECRET in read(vm)

    def test_a_stamp_is_never_rewritten(self, driver: Connected, cluster: Cluster) -> None:
        """A configuration that has changed since makes another `spec`: that is how a run sees it."""
        make(driver)
        changed = replace(WORKER, stamp=replace(WORKER.stamp, spec="ba9876543210"))
        again = make(driver, changed, boot_of(changed))
        assert (again.stamp, one(driver, cluster).stamp) == (WORKER.stamp, WORKER.stamp)

    def test_a_machine_of_another_cluster_that_bears_a_needed_name_is_listed(
        self, driver: Connected, cluster: Cluster
    ) -> None:
        other = node_of(WORKER.name, cluster="elsewhere", cluster_id=OTHER_ID)
        make(driver, other)
        assert [(vm.name, vm.stamp) for vm in listed(driver, cluster)] == [(other.name, other.stamp)]
