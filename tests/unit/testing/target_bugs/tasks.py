"""Bugs in `deliver_task`."""

from __future__ import annotations

import logging
import subprocess
from dataclasses import asdict, replace

from kube_provision_sound_target.driver import TASK_LIMIT
from kube_provision_sound_target.machines import Machines

from kube_provision_core import RECEIVER, BootFragment, File, Stamp, TargetError, hookimpl

from ..planted import fails
from .sound import Sound, on


def _changing(change):
    """Something else waits than what was delivered."""

    class Driver(Sound):
        @hookimpl
        def deliver_task(self, vm, task):
            return super().deliver_task(vm, task and change(self, vm, task))

    return Driver


@fails("test_a_task_waits_as_it_was_delivered")
class TakesTasksForText(_changing(lambda self, vm, task: task.decode(errors="replace").encode())):
    pass


@fails("test_a_task_waits_as_it_was_delivered")
class TrimsTasks(_changing(lambda self, vm, task: task.strip())):
    pass


@fails("test_a_task_waits_as_it_was_delivered")
class AddsToWhatWaits(_changing(lambda self, vm, task: self._machines.task(vm.name) + task)):
    pass


class _InPlace(Machines):
    def put_task(self, name, task):
        super().put_task(name, task and task + self.task(name)[len(task) :])


@fails("test_a_task_waits_as_it_was_delivered")
class LeavesTheEndOfALongerOne(on(_InPlace)):
    pass


@fails("test_a_task_waits_as_it_was_delivered")
class SaysNothingOfDelivery(Sound):
    @hookimpl
    def deliver_task(self, vm, task):
        super().deliver_task(vm, task)


def _telling(task):
    class Driver(Sound):
        @hookimpl
        def list_vms(self, cluster):
            return [replace(vm, task=task(vm.task)) for vm in super().list_vms(cluster)]

    return Driver


@fails("test_list_vms_tells_which_task_waits")
class TellsOfNoTask(_telling(lambda task: "")):
    pass


@fails("test_list_vms_tells_which_task_waits")
class TellsAnotherDigest(_telling(lambda task: task[::-1])):
    pass


@fails("test_list_vms_tells_which_task_waits")
class TellsOfATaskWhereNoneWaits(_telling(lambda task: task or "0" * 16)):
    pass


@fails("test_list_vms_tells_which_task_waits")
class RemembersWhatItDelivered(Sound):
    def __init__(self, config):
        super().__init__(config)
        self.delivered = set()

    @hookimpl
    def deliver_task(self, vm, task):
        self.delivered.add(vm.name)
        return super().deliver_task(vm, task)

    @hookimpl
    def list_vms(self, cluster):
        return [vm if vm.name in self.delivered else replace(vm, task="") for vm in super().list_vms(cluster)]


@fails("test_a_task_outlives_a_power_cut")
class KeepsTasksInTheMachinesMemory(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        if (self._machines.read(node.name) or {}).get("power") == "off":
            self._machines.put_task(node.name, None)
        return super().provision_vm(node, boot)


@fails("test_a_task_waits_for_a_machine_that_is_off")
class DeliversToWhatRunsAlone(Sound):
    @hookimpl
    def deliver_task(self, vm, task):
        return self._machines.read(vm.name)["power"] == "off" or super().deliver_task(vm, task)


@fails("test_a_task_waits_for_a_machine_that_is_off")
class StartsItToDeliver(Sound):
    @hookimpl
    def deliver_task(self, vm, task):
        self.start_vm(vm)
        return super().deliver_task(vm, task)


@fails("test_deliver_task_may_be_repeated")
class DeliversOnce(Sound):
    @hookimpl
    def deliver_task(self, vm, task):
        if task and self._machines.task(vm.name):
            raise TargetError(f"{vm.name}: a task waits already")
        return super().deliver_task(vm, task)


@fails("test_deliver_task_may_be_repeated")
class TakesAwayOnce(Sound):
    @hookimpl
    def deliver_task(self, vm, task):
        if task is None and not self._machines.task(vm.name):
            raise TargetError(f"{vm.name}: no task waits")
        return super().deliver_task(vm, task)


@fails("test_nothing_is_left_of_a_task_that_was_taken_away")
class KeepsWhatItDelivered(Sound):
    @hookimpl
    def deliver_task(self, vm, task):
        if task:
            (self._machines.folder / vm.name / "task.log").write_bytes(task)
        return super().deliver_task(vm, task)


@fails("test_nothing_is_left_of_a_task_that_was_taken_away")
class TakesNothingAway(Sound):
    @hookimpl
    def deliver_task(self, vm, task):
        return task is None or super().deliver_task(vm, task)


@fails("test_a_task_is_carried_up_to_the_limit_and_refused_beyond")
class CutsTasks(_changing(lambda self, vm, task: task[:TASK_LIMIT])):
    pass


@fails("test_a_task_is_carried_up_to_the_limit_and_refused_beyond")
class CarriesLessThanItSays(Sound):
    @hookimpl
    def task_limit(self):
        return TASK_LIMIT + 1


@fails("test_a_task_is_carried_up_to_the_limit_and_refused_beyond")
class CarriesMoreThanItSays(Sound):
    @hookimpl
    def task_limit(self):
        return TASK_LIMIT // 2


@fails("test_a_task_is_carried_up_to_the_limit_and_refused_beyond")
class MakesRoomForWhatItRefuses(Sound):
    @hookimpl
    def deliver_task(self, vm, task):
        super().deliver_task(vm, None)
        return super().deliver_task(vm, task)


@fails("test_how_much_a_task_may_have_is_known_without_io")
class AsksForItsLimit(Sound):
    @hookimpl
    def task_limit(self):
        subprocess.run(["true"], check=True)
        return TASK_LIMIT


@fails("test_how_much_a_task_may_have_is_known_without_io")
class SaysNoLimit(Sound):
    @hookimpl
    def task_limit(self):
        return None


def _besides(do):
    class Driver(Sound):
        @hookimpl
        def deliver_task(self, vm, task):
            do(self, vm, task)
            return super().deliver_task(vm, task)

    return Driver


@fails("test_delivering_a_task_changes_nothing_else")
class DeliversInTheUserData(
    _besides(lambda self, vm, task: self._machines.replace_user_data(vm.name, f"#cloud-config\n# {task!r}\n"))
):
    pass


@fails("test_delivering_a_task_changes_nothing_else")
class PowersOffToDeliver(_besides(lambda self, vm, task: self._machines.update(vm.name, power="off"))):
    pass


@fails("test_delivering_a_task_changes_nothing_else")
class StampsWhatItHasDelivered(Sound):
    @hookimpl
    def deliver_task(self, vm, task):
        super().deliver_task(vm, task)
        self._machines.update(vm.name, stamp=asdict(replace(vm.stamp, spec="ba9876543210")))
        return True


@fails("test_a_task_waits_for_one_machine")
class DeliversByBeginning(Sound):
    @hookimpl
    def deliver_task(self, vm, task):
        return all(super(DeliversByBeginning, self).deliver_task(it, task) for it in self._beginning(vm))

    def _beginning(self, vm):
        return [replace(vm, name=name) for name in self._machines.names() if name.startswith(vm.name)]


class _Shared(Machines):
    def task(self, name):
        path = self.folder / ".task"
        return path.read_bytes() if path.exists() else b""

    def put_task(self, name, task):
        super().put_task(name, task)
        (self.folder / ".task").write_bytes(task or b"")


@fails("test_a_task_waits_for_one_machine")
class HasOnePlaceForAll(on(_Shared)):
    pass


def _looking(mistaken):
    """Whether a machine is the one that was observed is judged otherwise."""

    class Driver(Sound):
        @hookimpl
        def deliver_task(self, vm, task):
            found = Stamp.of((self._machines.read(vm.name) or {}).get("stamp"))
            if mistaken(found, vm.stamp, task):
                self._machines.put_task(vm.name, task)
                return True
            return super().deliver_task(vm, task)

    return Driver


@fails("test_a_foreign_machine_is_given_no_task")
class DeliversToWhateverIsThere(_looking(lambda found, stamp, task: found is None)):
    pass


@fails("test_another_machine_than_the_one_observed_is_given_no_task")
class DeliversToAClusterOfThatName(_looking(lambda found, stamp, task: found.cluster == stamp.cluster)):
    pass


@fails("test_another_machine_than_the_one_observed_is_given_no_task")
class DeliversToItsSuccessor(_looking(lambda found, stamp, task: found.cluster_id == stamp.cluster_id)):
    pass


@fails("test_another_machine_than_the_one_observed_is_given_no_task")
class TakesAwayWhatIsAnothers(_looking(lambda found, stamp, task: task is None)):
    pass


class _ByName(Machines):
    def task(self, name):
        path = self.folder / f".{name}.task"
        return path.read_bytes() if path.exists() else b""

    def delete(self, name):
        path = self.folder / f".{name}.task"
        path.write_bytes(Machines.task(self, name))
        super().delete(name)

    def create(self, name, known, network):
        super().create(name, known, network)
        if self.task(name):
            Machines.put_task(self, name, self.task(name))


@fails("test_no_task_waits_for_a_machine_that_was_made_anew")
class KeepsTasksByName(on(_ByName)):
    pass


@fails("test_a_task_for_a_machine_that_is_gone_is_no_bug")
class FindsNoMachineToDeliverTo(_besides(lambda self, vm, task: self._machines.read(vm.name)["stamp"])):
    pass


@fails("test_a_task_is_told_to_nobody")
class LogsTasks(_besides(lambda self, vm, task: logging.getLogger("driver").debug("delivers %r", task))):
    pass


class _Open(Machines):
    def put_task(self, name, task):
        super().put_task(name, task)
        if task:
            (self.folder / name / "task").chmod(0o644)


@fails("test_a_task_is_told_to_nobody")
class LetsEverybodyReadTasks(on(_Open)):
    pass


def _receiving(*files):
    class Driver(Sound):
        @hookimpl
        def render_boot(self, node, cluster):
            return BootFragment(files=files)

    return Driver


@fails("test_every_node_that_can_be_given_tasks_gets_a_receiver")
class ReceivesNothing(_receiving()):
    pass


@fails("test_every_node_that_can_be_given_tasks_gets_a_receiver")
class ReceivesByWhatCannotRun(_receiving(File(RECEIVER, "#!/bin/sh\n"))):
    pass


@fails("test_every_node_that_can_be_given_tasks_gets_a_receiver")
class ReceivesByNoProgram(_receiving(File(RECEIVER, "cat", mode=0o755))):
    pass
