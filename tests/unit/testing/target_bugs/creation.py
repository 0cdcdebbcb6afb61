"""Bugs in `provision_vm`."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from dataclasses import asdict, replace

from kube_provision_sound_target.machines import Machines

from kube_provision_core import Power, Role, hookimpl

from ..planted import fails
from .sound import Sound, Unlocked, meet, on


@fails("test_provision_vm_returns_the_machine_powered_on_and_stamped")
class AnswersWithADictionary(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        return {"name": super().provision_vm(node, boot).name}


@fails("test_provision_vm_returns_the_machine_powered_on_and_stamped")
class AnswersNothing(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        super().provision_vm(node, boot)


@fails("test_provision_vm_returns_the_machine_powered_on_and_stamped")
class AnswersWithoutAStamp(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        return replace(super().provision_vm(node, boot), stamp=None)


@fails("test_provision_vm_returns_the_machine_powered_on_and_stamped")
class CallsItSomethingElse(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        return replace(super().provision_vm(node, boot), name=node.name.upper())


@fails("test_list_vms_tells_what_provision_vm_stamped")
class LeavesItOff(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        vm = super().provision_vm(node, boot)
        self._machines.update(node.name, power="off")
        return vm


@fails("test_provision_vm_is_idempotent_by_name")
class MakesAnotherEveryTime(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        if self._machines.read(node.name) is None:
            return super().provision_vm(node, boot)
        return super().provision_vm(replace(node, name=f"{node.name}-{len(self._machines.names())}"), boot)


@fails("test_provision_vm_is_idempotent_by_name")
class ForgetsWhichItWas(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        return replace(super().provision_vm(node, boot), id=str(time.monotonic_ns()))


@fails("test_provision_vm_answers_soon")
class WaitsForAnAddress(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        vm = super().provision_vm(node, boot)
        for _ in range(80):
            if vm.addresses:
                break
            time.sleep(0.05)
        return vm


@fails("test_many_machines_can_be_made_at_once")
class GivesAllOneIdentity(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        return replace(super().provision_vm(node, boot), id=str(id(self)))


class _ForgetsOthers(Machines):
    """As one file for all machines, written without a lock."""

    def create(self, name, known, network):
        others = {other: (self.folder / other / "machine.json").read_bytes() for other in self.names()}
        meet(self.folder)
        super().create(name, known, network)
        for other in set(self.names()) - {*others, name}:
            shutil.rmtree(self.folder / other)


@fails("test_many_machines_can_be_made_at_once")
class LosesOneOfMany(on(_ForgetsOthers)):
    pass


class _Hasty(Unlocked):
    def read(self, name):
        found = super().read(name)
        if found is None:
            meet(self.folder)
        return found

    def create(self, name, known, network):
        another = f"{name}-{threading.get_ident()}"
        part = self.folder / f".{another}"
        part.mkdir()
        (part / "machine.json").write_text(json.dumps({**known, "complete": True}))
        try:
            part.rename(self.folder / name)
        except OSError:
            part.rename(self.folder / another)


@fails("test_one_machine_asked_for_twice_at_once_is_made_once")
class LooksBeforeItLocks(on(_Hasty)):
    pass


class _LocksThreads(_Hasty):
    """A lock of this driver's own: another run has another one."""

    def __init__(self, folder):
        super().__init__(folder)
        object.__setattr__(self, "mutex", threading.RLock())

    @contextlib.contextmanager
    def lock(self, name):
        with self.mutex:
            self.folder.mkdir(exist_ok=True)
            yield


@fails("test_two_runs_at_once_make_one_machine")
class LocksItsOwnThreadsAlone(on(_LocksThreads)):
    pass


@fails("test_a_machine_that_is_off_is_started_and_stays_the_same")
class LeavesAStoppedMachineOff(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        known = self._machines.read(node.name)
        return self._look(node.name, None) if known else super().provision_vm(node, boot)


@fails("test_a_machine_that_is_off_is_started_and_stays_the_same")
class SaysThatItStarted(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        known = self._machines.read(node.name)
        return replace(self._look(node.name, None), power=Power.ON) if known else super().provision_vm(node, boot)


@fails("test_a_machine_has_the_size_that_was_asked_for")
class KeepsTheTemplatesSize(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        vm = super().provision_vm(node, boot)
        self._machines.update(node.name, size=asdict(replace(node.machine, cpu=1)))
        return vm


@fails("test_a_machine_has_the_further_disks_that_were_asked_for")
class MakesOneFurtherDisk(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        vm = super().provision_vm(node, boot)
        one = replace(node.machine, data_volumes_gib=node.machine.data_volumes_gib[:1])
        self._machines.update(node.name, size=asdict(one))
        return vm


@fails("test_a_machine_is_made_as_its_role_is_configured")
class KnowsOneRolesConfiguration(Sound):
    def __init__(self, config):
        super().__init__(dict.fromkeys(Role, config[Role.MASTER]))


class _KeepsTheDead(Machines):
    def delete(self, name):
        (self.folder / name).rename(self.folder / f".dead-{name}")

    def create(self, name, known, network):
        super().create(name, known, network)
        if (self.folder / f".dead-{name}").exists():
            shutil.copytree(self.folder / f".dead-{name}", self.folder / name, dirs_exist_ok=True)
            shutil.rmtree(self.folder / f".dead-{name}")


@fails("test_a_machine_that_is_made_again_begins_afresh")
class BringsBackTheDead(on(_KeepsTheDead)):
    pass
