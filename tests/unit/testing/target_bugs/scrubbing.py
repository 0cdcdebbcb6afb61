"""Bugs in `scrub_boot`."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace

from kube_provision_core import TargetError, hookimpl

from ..planted import fails
from .sound import Sound


@fails("test_scrub_boot_takes_the_secrets_and_says_so")
class OnlySaysThatItScrubbed(Sound):
    @hookimpl
    def scrub_boot(self, vm):
        self._require_own(vm.name, vm.stamp)
        self._machines.update(vm.name, scrubbed=True)
        return True


@fails("test_scrub_boot_takes_the_secrets_and_says_so")
class DoesNotSayThatItScrubbed(Sound):
    @hookimpl
    def scrub_boot(self, vm):
        super().scrub_boot(vm)
        self._machines.update(vm.name, scrubbed=False)
        return True


@fails("test_scrub_boot_takes_the_secrets_and_says_so")
class RemembersScrubbingInMemory(Sound):
    def __init__(self, config):
        super().__init__(config)
        self.scrubbed = set()

    @hookimpl
    def scrub_boot(self, vm):
        self.scrubbed.add(vm.name)
        self._machines.replace_user_data(vm.name, "")
        return True

    @hookimpl
    def list_vms(self, cluster):
        return [replace(vm, scrubbed=vm.name in self.scrubbed) for vm in super().list_vms(cluster)]


@fails("test_scrub_boot_takes_the_secrets_and_says_so")
class IsAlwaysScrubbed(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [replace(vm, scrubbed=True) for vm in super().list_vms(cluster)]


@fails("test_scrub_boot_keeps_no_copy")
class KeepsACopy(Sound):
    @hookimpl
    def scrub_boot(self, vm):
        held = self._machines.folder / vm.name / "user-data"
        shutil.copy(held, held.with_suffix(".orig"))
        return super().scrub_boot(vm)


@fails("test_scrub_boot_may_be_repeated")
class CannotScrubTwice(Sound):
    @hookimpl
    def scrub_boot(self, vm):
        if (self._machines.read(vm.name) or {}).get("scrubbed"):
            raise TargetError(f"{vm.name}: there is nothing to scrub")
        return super().scrub_boot(vm)


@fails("test_scrub_boot_may_be_repeated")
class SaysNothingOfScrubbing(Sound):
    @hookimpl
    def scrub_boot(self, vm):
        super().scrub_boot(vm)


@fails("test_scrub_boot_keeps_the_instance")
class ScrubsTheInstance(Sound):
    @hookimpl
    def scrub_boot(self, vm):
        (self._machines.folder / vm.name / "meta-data").write_text("{}")
        return super().scrub_boot(vm)


@fails("test_scrub_boot_keeps_the_instance")
class ScrubbingMakesANewInstance(Sound):
    @hookimpl
    def scrub_boot(self, vm):
        told = {"instance-id": "scrubbed", "local-hostname": vm.name}
        (self._machines.folder / vm.name / "meta-data").write_text(json.dumps(told))
        return super().scrub_boot(vm)


@fails("test_scrub_boot_changes_nothing_else")
class ScrubsByPowerOff(Sound):
    @hookimpl
    def scrub_boot(self, vm):
        super().scrub_boot(vm)
        self._machines.update(vm.name, power="off")
        return True


@fails("test_scrub_boot_changes_nothing_else")
class ScrubsTheStamp(Sound):
    @hookimpl
    def scrub_boot(self, vm):
        super().scrub_boot(vm)
        self._machines.update(vm.name, stamp=asdict(replace(vm.stamp, spec="")))
        return True


@fails("test_scrub_boot_scrubs_one_machine")
class ScrubsByBeginning(Sound):
    @hookimpl
    def scrub_boot(self, vm):
        for name in self._machines.names():
            if name.startswith(vm.name):
                super().scrub_boot(replace(vm, name=name))
        return True


@fails("test_scrubbing_a_machine_that_is_gone_is_no_bug")
class StumblesOverWhatIsGone(Sound):
    @hookimpl
    def scrub_boot(self, vm):
        json.loads((self._machines.folder / vm.name / "machine.json").read_text())
        return super().scrub_boot(vm)
