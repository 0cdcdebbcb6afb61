"""Bugs in `restamp_vm`."""

from __future__ import annotations

from dataclasses import replace

from kube_provision_core import Stamp, TargetError, hookimpl

from ..planted import fails
from .sound import Sound


@fails("test_restamp_vm_rewrites_the_stamp_of_one_machine_and_nothing_else")
class OnlySaysThatItStamped(Sound):
    @hookimpl
    def restamp_vm(self, vm, stamp):
        self._require_own(vm.name, vm.stamp)
        return True


@fails("test_restamp_vm_rewrites_the_stamp_of_one_machine_and_nothing_else")
class StampsTheHashAlone(Sound):
    @hookimpl
    def restamp_vm(self, vm, stamp):
        return super().restamp_vm(vm, replace(stamp, made_of=vm.stamp.made_of))


@fails("test_restamp_vm_rewrites_the_stamp_of_one_machine_and_nothing_else")
class RemembersStampsInMemory(Sound):
    def __init__(self, config):
        super().__init__(config)
        self.stamps = {}

    @hookimpl
    def restamp_vm(self, vm, stamp):
        self._require_own(vm.name, vm.stamp)
        self.stamps[vm.name] = stamp
        return True

    @hookimpl
    def list_vms(self, cluster):
        return [replace(vm, stamp=self.stamps.get(vm.name, vm.stamp)) for vm in super().list_vms(cluster)]


@fails("test_restamp_vm_rewrites_the_stamp_of_one_machine_and_nothing_else")
class StampsAllOfItsRole(Sound):
    @hookimpl
    def restamp_vm(self, vm, stamp):
        super().restamp_vm(vm, stamp)
        for name in self._machines.names():
            self._machines.update(name, stamp=stamp.document)
        return True


@fails("test_restamp_vm_rewrites_the_stamp_of_one_machine_and_nothing_else")
class ScrubsItToStamp(Sound):
    @hookimpl
    def restamp_vm(self, vm, stamp):
        super().restamp_vm(vm, stamp)
        self._machines.update(vm.name, scrubbed=True)
        return True


@fails("test_restamp_vm_may_be_repeated")
class StampsOnce(Sound):
    @hookimpl
    def restamp_vm(self, vm, stamp):
        if Stamp.of(self._machines.read(vm.name)["stamp"]) == stamp:
            raise TargetError(f"{vm.name} has that stamp already")
        return super().restamp_vm(vm, stamp)


@fails("test_restamp_vm_may_be_repeated")
class StampsWhatWasLookedAtAlone(Sound):
    @hookimpl
    def restamp_vm(self, vm, stamp):
        if Stamp.of(self._machines.read(vm.name)["stamp"]) != vm.stamp:
            raise TargetError(f"{vm.name} is another machine")
        return super().restamp_vm(vm, stamp)


@fails("test_a_machine_that_was_restamped_is_taken_over_started_and_destroyed")
class TakesOverWhatItStampedAlone(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        known = self._machines.read(node.name)
        if known and Stamp.of(known["stamp"]) != node.stamp:
            raise TargetError(f"{node.name} is another machine")
        return super().provision_vm(node, boot)


class _Believing(Sound):
    @hookimpl
    def restamp_vm(self, vm, stamp):
        self._machines.update(vm.name, stamp=stamp.document)
        return True


@fails("test_a_machine_whose_stamp_is_another_one_is_never_restamped")
class StampsWhateverBearsTheName(_Believing):
    pass


@fails("test_a_machine_whose_stamp_is_another_one_is_never_restamped")
class StampsAnyMachineOfTheCluster(Sound):
    @hookimpl
    def restamp_vm(self, vm, stamp):
        self._require_own(vm.name, vm.stamp)
        self._machines.update(vm.name, stamp=stamp.document)
        return True


@fails("test_a_foreign_machine_is_never_stamped")
class TakesForeignMachines(_Believing):
    pass
