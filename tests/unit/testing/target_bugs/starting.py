"""Bugs in `start_vm`."""

from __future__ import annotations

from kube_provision_core import hookimpl

from ..planted import fails
from .sound import Sound

STARTS = "test_start_vm_starts_a_machine_that_is_off_and_changes_nothing_else"


@fails(STARTS)
class StartsNothing(Sound):
    @hookimpl
    def start_vm(self, vm):
        self._require_own(vm.name, vm.stamp)
        return True


@fails(STARTS)
class StartsWithoutAWord(Sound):
    @hookimpl
    def start_vm(self, vm):
        super().start_vm(vm)


@fails(STARTS)
class StampsItAnew(Sound):
    @hookimpl
    def start_vm(self, vm):
        super().start_vm(vm)
        stamp = self._machines.read(vm.name)["stamp"]
        self._machines.update(vm.name, stamp=stamp | {"spec": "ba9876543210"})
        return True


@fails("test_start_vm_may_be_repeated")
class TogglesItsPower(Sound):
    @hookimpl
    def start_vm(self, vm):
        self._require_own(vm.name, vm.stamp)
        self._machines.update(vm.name, power="off" if self._machines.read(vm.name)["power"] == "on" else "on")
        return True


@fails("test_start_vm_keeps_the_boot_data")
class TakesItsBootDataForOld(Sound):
    @hookimpl
    def start_vm(self, vm):
        self._machines.replace_user_data(vm.name, "#cloud-config\n{}\n")
        return super().start_vm(vm)


@fails("test_start_vm_brings_no_secret_back")
class BootsWithWhatItWasMadeWith(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        vm = super().provision_vm(node, boot)
        self._made_with(node.name).write_text(boot.user_data)
        return vm

    @hookimpl
    def start_vm(self, vm):
        self._machines.replace_user_data(vm.name, self._made_with(vm.name).read_text())
        return super().start_vm(vm)

    def _made_with(self, name):
        return self._machines.folder / name / "made-with"
