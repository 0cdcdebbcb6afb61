"""Bugs in what becomes of a failure."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

from kube_provision_sound_target import machines as sound_machines
from kube_provision_sound_target.machines import Machines

from kube_provision_core import Power, Role, Stamp, TargetError, Vm, hookimpl

from ..planted import fails
from .sound import Sound, Unlocked, on


@fails("test_a_creation_that_fails_is_told")
class SwallowsErrors(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        try:
            return super().provision_vm(node, boot)
        except TargetError:
            return Vm(node.name, node.name, Power.ON, node.stamp)


@fails("test_a_creation_that_fails_is_told")
class RaisesWhatThePlatformRaises(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        try:
            return super().provision_vm(node, boot)
        except TargetError as error:
            raise error.__cause__ from None


def _saying(text):
    class Driver(Sound):
        @hookimpl
        def provision_vm(self, node, boot):
            try:
                return super().provision_vm(node, boot)
            except TargetError as error:
                raise TargetError(text.format(error=error, boot=boot, node=node)) from error

    return Driver


@fails("test_an_error_is_one_line_without_secrets")
class SaysMuch(_saying("{node.name}: {error}\nTraceback follows")):
    pass


@fails("test_an_error_is_one_line_without_secrets")
class SaysNothing(_saying("")):
    pass


@fails("test_an_error_is_one_line_without_secrets")
class TellsBootDataInAnError(_saying("{node.name}: {boot.user_data!r}")):
    pass


@fails("test_an_error_is_one_line_without_secrets")
class TellsItsPasswordInAnError(_saying("{node.name}: login with password-of-the-target failed")):
    pass


@fails("test_an_error_names_the_machine")
class NamesNobody(_saying("the clone failed; see the task's log")):
    pass


@fails("test_a_creation_that_fails_leaves_nothing_unfindable")
class LeavesAMachineWithoutAStamp(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        try:
            return super().provision_vm(node, boot)
        except TargetError:
            (self._machines.folder / node.name).mkdir(exist_ok=True)
            raise


class _Trusting(Machines):
    """Takes what is there for complete."""

    def create(self, name, known, network):
        try:
            super().create(name, {**known}, network)
        except OSError:
            (self.folder / name).mkdir(exist_ok=True)
            known = {**known, "addresses": [], "power": "off", "complete": True}
            (self.folder / name / "user-data").write_text("")
            (self.folder / name / "machine.json").write_text(json.dumps(known))
            raise


@fails("test_what_a_failed_creation_left_is_made_whole")
class StartsWhatIsHalfMade(on(_Trusting)):
    pass


class _StampsLate(Machines):
    def create(self, name, known, network):
        (self.folder / name).mkdir()
        sound_machines.replace_file(self.folder / name / "user-data", b"")
        known = {**known, "addresses": [next(map(str, network.hosts()))], "power": "on"}
        sound_machines.replace_file(self.folder / name / "machine.json", json.dumps(known).encode())


@fails("test_a_run_that_is_killed_may_be_repeated")
class StampsAfterPowerOn(on(_StampsLate)):
    pass


@fails("test_a_run_that_is_killed_may_be_repeated")
class BelievesThatItIsComplete(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        before = self._machines.read(node.name)
        if before and not before.get("complete"):
            self._machines.update(node.name, complete=True)
            (self._machines.folder / node.name / "user-data").touch()
        return super().provision_vm(node, boot)


@fails("test_what_a_killed_run_left_can_be_destroyed")
class HidesWhatIsHalfMade(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [vm for vm in super().list_vms(cluster) if vm.complete]


@fails("test_what_a_killed_run_left_can_be_destroyed")
class DestroysWhatIsCompleteAlone(Sound):
    @hookimpl
    def destroy_vm(self, vm):
        if not vm.complete:
            raise TargetError(f"{vm.name} is locked by a running task")
        return super().destroy_vm(vm)


class _SilentIsEmpty(Machines):
    def names(self):
        try:
            return super().names()
        except OSError:
            return []


@fails("test_a_target_that_cannot_be_reached_is_an_error")
class TakesSilenceForEmptiness(on(_SilentIsEmpty)):
    pass


def _hushing(hook, answer):
    class Driver(Sound):
        pass

    def hushed(self, vm):
        try:
            return getattr(super(Driver, self), hook)(vm)
        except TargetError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            return answer

    setattr(Driver, hook, hookimpl(hushed))
    return Driver


@fails("test_a_target_that_cannot_be_reached_is_an_error")
class TakesSilenceForDestroyed(_hushing("destroy_vm", True)):
    pass


@fails("test_a_target_that_cannot_be_reached_is_an_error")
class TakesSilenceForScrubbed(_hushing("scrub_boot", True)):
    pass


@fails("test_a_target_that_cannot_be_reached_is_an_error")
class TakesSilenceForStarted(_hushing("start_vm", True)):
    pass


@fails("test_a_target_that_cannot_be_reached_is_an_error")
class ForeseesNothing(Sound):
    @hookimpl
    def preflight(self, machines):
        return []


class _WaitsForEver(Machines):
    @contextlib.contextmanager
    def lock(self, name):
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f".{name}.lock").open("w") as file:
            for _ in range(60):  # for ever, as far as a test can wait
                with contextlib.suppress(TargetError):
                    sound_machines.wait_for_lock(file.fileno(), "lock", 0.05)
                    break
            yield


@fails("test_a_lock_that_somebody_holds_is_not_waited_for_for_ever")
class WaitsForEver(on(_WaitsForEver)):
    pass


@fails("test_a_lock_that_somebody_holds_is_not_waited_for_for_ever")
class DoesNotLock(on(Unlocked)):
    pass


class _Strict(Machines):
    def read(self, name):
        path = self.folder / name / "machine.json"
        return json.loads(path.read_text()) if path.exists() else super().read(name)


@fails("test_a_machine_with_damaged_notes_hides_no_other")
class StumblesOverDamage(on(_Strict)):
    pass


@fails("test_a_machine_with_damaged_notes_is_left_alone")
class GuessesWhoseItIs(Sound):
    @hookimpl
    def list_vms(self, cluster):
        guessed = Stamp(cluster.name, cluster.id, Role.WORKER, "")
        return [replace(vm, stamp=vm.stamp or guessed) for vm in super().list_vms(cluster)]
