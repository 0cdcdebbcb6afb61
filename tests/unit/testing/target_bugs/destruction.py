"""Bugs in `destroy_vm`."""

from __future__ import annotations

import shutil
import threading

from kube_provision_sound_target.machines import Machines

from kube_provision_core import TargetError, hookimpl

from ..planted import fails
from .sound import Sound, Unlocked, meet, on


@fails("test_destroy_vm_removes_the_machine_and_may_be_repeated")
class CannotDestroyTwice(Sound):
    @hookimpl
    def destroy_vm(self, vm):
        if self._machines.read(vm.name) is None:
            raise TargetError("there is no such machine")
        return super().destroy_vm(vm)


@fails("test_destroy_vm_removes_the_machine_and_may_be_repeated")
class SaysThatItIsGone(Sound):
    @hookimpl
    def destroy_vm(self, vm):
        self._machines.update(vm.name, power="off")
        return True


@fails("test_destroy_vm_removes_the_machine_and_may_be_repeated")
class SaysNothingOfDestruction(Sound):
    @hookimpl
    def destroy_vm(self, vm):
        super().destroy_vm(vm)


@fails("test_destroy_vm_removes_a_machine_that_another_run_made")
class DestroysItsOwnAlone(Sound):
    def __init__(self, config):
        super().__init__(config)
        self.made = set()

    @hookimpl
    def provision_vm(self, node, boot):
        self.made.add(node.name)
        return super().provision_vm(node, boot)

    @hookimpl
    def destroy_vm(self, vm):
        return super().destroy_vm(vm) if vm.name in self.made else True


@fails("test_destroy_vm_leaves_all_others")
class DestroysByBeginning(Sound):
    @hookimpl
    def destroy_vm(self, vm):
        for name in self._machines.names():
            if name.startswith(vm.name):
                self._machines.delete(name)
        return True


@fails("test_destroy_vm_leaves_all_others")
class DestroysAllThatEndSo(Sound):
    @hookimpl
    def destroy_vm(self, vm):
        for name in self._machines.names():
            if name.endswith(vm.name):
                self._machines.delete(name)
        return True


@fails("test_destroy_vm_removes_a_machine_that_is_off")
class DestroysWhatRunsAlone(Sound):
    @hookimpl
    def destroy_vm(self, vm):
        if (self._machines.read(vm.name) or {}).get("power") == "off":
            raise TargetError(f"{vm.name}: the operation is not allowed in the current state")
        return super().destroy_vm(vm)


class _SlowlyGone(Unlocked):
    def delete(self, name):
        meet(self.folder)
        (self.folder / name).rename(self.folder / f".{name}-{threading.get_ident()}")


@fails("test_destroy_vm_may_be_called_twice_at_once")
class StumblesOverItself(on(_SlowlyGone)):
    pass


class _Archives(Machines):
    def delete(self, name):
        (self.folder / name).rename(self.folder / f".{name}-gone")


@fails("test_destroy_vm_leaves_no_boot_data_behind")
class KeepsAnArchive(on(_Archives)):
    pass


class _DeletesDisks(Machines):
    def delete(self, name):
        for path in (self.folder / name).iterdir():
            path.resolve().unlink()
        (self.folder / name).rmdir() if not list((self.folder / name).iterdir()) else shutil.rmtree(self.folder / name)


@fails("test_a_disk_attached_after_creation_survives")
class DeletesEveryDisk(on(_DeletesDisks)):
    pass
