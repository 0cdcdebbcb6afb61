"""Bugs in what others than the machine learn."""

from __future__ import annotations

import logging
import os
import subprocess
from dataclasses import replace

from kube_provision_sound_target.machines import Machines

from kube_provision_core import hookimpl

from ..planted import fails
from .sound import Sound, on


def _meanwhile(do):
    class Driver(Sound):
        @hookimpl
        def provision_vm(self, node, boot):
            do(self, node, boot)
            return super().provision_vm(node, boot)

    return Driver


@fails("test_secrets_are_never_told")
class LogsBootData(_meanwhile(lambda self, node, boot: logging.getLogger("driver").debug("with %s", boot.user_data))):
    pass


@fails("test_secrets_are_never_told")
class LogsItsPassword(_meanwhile(lambda self, node, boot: logging.getLogger("x").debug("login password-of-the-target"))):
    pass


@fails("test_secrets_are_never_told")
class ShowsItsPassword(Sound):
    def __repr__(self):
        return "SoundTarget(password='password-of-the-target')"


@fails("test_secrets_are_never_told")
class CarriesBootDataInAMachine(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        return replace(super().provision_vm(node, boot), where=boot.user_data)


def _beforehand(do):
    class Driver(Sound):
        @hookimpl
        def preflight(self, machines):
            for node, boot in machines:
                do(node, boot)
            return super().preflight(machines)

    return Driver


@fails("test_secrets_are_never_told")
class LogsBootDataBeforehand(_beforehand(lambda node, boot: logging.getLogger("driver").debug("with %s", boot.user_data))):
    pass


@fails("test_secrets_are_in_no_argv_and_no_environment")
class MeasuresBootDataByAnArgument(_beforehand(lambda node, boot: subprocess.run(["true", boot.user_data], check=True))):
    pass


@fails("test_nothing_is_printed")
class PrintsWhatItLooksAt(_beforehand(lambda node, boot: print("looking at", node.name))):
    pass


@fails("test_nothing_is_printed")
class PrintsWhatItStarts(Sound):
    @hookimpl
    def start_vm(self, vm):
        print("starting", vm.name)
        return super().start_vm(vm)


@fails("test_nothing_is_printed")
class PrintsWhatItDelivers(Sound):
    @hookimpl
    def deliver_task(self, vm, task):
        print("delivering to", vm.name)
        return super().deliver_task(vm, task)


@fails("test_nothing_is_printed")
class Prints(_meanwhile(lambda self, node, boot: print("cloning", node.name))):
    pass


@fails("test_nothing_is_printed")
class LetsItsProgramsSpeak(_meanwhile(lambda self, node, boot: subprocess.run(["echo", node.name], check=True))):
    pass


@fails("test_secrets_are_in_no_argv_and_no_environment")
class GivesBootDataAsAnArgument(_meanwhile(lambda self, node, boot: subprocess.run(["true", boot.user_data], check=True))):
    pass


@fails("test_secrets_are_in_no_argv_and_no_environment")
class GivesItsPasswordInTheEnvironment(
    _meanwhile(lambda self, node, boot: subprocess.run(["true"], env={"P": "password-of-the-target"}, check=True))
):
    pass


@fails("test_secrets_are_in_no_argv_and_no_environment")
class PutsItsPasswordIntoItsOwnEnvironment(
    _meanwhile(lambda self, node, boot: (os.environ.update(P="password-of-the-target"), os.environ.pop("P")))
):
    pass


class _Open(Machines):
    def deliver(self, name, user_data, metadata):
        super().deliver(name, user_data, metadata)
        (self.folder / name / "user-data").unlink()
        (self.folder / name / "user-data").write_text(user_data)


class _OpenToItsGroup(Machines):
    def deliver(self, name, user_data, metadata):
        super().deliver(name, user_data, metadata)
        (self.folder / name / "user-data").chmod(0o640)


@fails("test_files_with_secrets_are_private")
class LetsItsGroupReadBootData(on(_OpenToItsGroup)):
    pass


@fails("test_files_with_secrets_are_private")
class LetsEverybodyReadBootData(on(_Open)):
    pass


@fails("test_files_with_secrets_are_private")
class LeavesATemporaryFile(
    _meanwhile(lambda self, node, boot: (self._machines.folder.parent / "boot.tmp").write_text(boot.user_data))
):
    pass
