"""Bugs in what a machine is taken to have said."""

from __future__ import annotations

import json
from dataclasses import replace

from kube_provision_core import NodeStatus, Stage, hookimpl

from ..planted import fails
from .sound import Sound


@fails("test_what_a_machine_publishes_is_listed")
class LosesStatuses(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [replace(vm, status=None) for vm in super().list_vms(cluster)]


@fails("test_what_a_machine_publishes_is_listed")
class MixesStatusesUp(Sound):
    @hookimpl
    def list_vms(self, cluster):
        vms = super().list_vms(cluster)
        return [replace(vm, status=other.status) for vm, other in zip(vms, reversed(vms), strict=True)]


@fails("test_what_a_machine_publishes_is_listed")
class HasAStatusBeforeAnythingIsSaid(Sound):
    @hookimpl
    def list_vms(self, cluster):
        begun = NodeStatus(Stage.PREPARE, "running")
        return [replace(vm, status=vm.status or begun) for vm in super().list_vms(cluster)]


@fails("test_what_a_machine_published_last_counts")
class KeepsTheFirstStatus(Sound):
    first = None

    @hookimpl
    def list_vms(self, cluster):
        vms = super().list_vms(cluster)
        self.first = self.first or (vms[0].status if vms else None)
        return [replace(vm, status=self.first) for vm in vms]


@fails("test_a_document_as_large_as_it_may_be_is_listed_whole")
class CutsStatuses(Sound):
    @hookimpl
    def list_vms(self, cluster):
        vms = super().list_vms(cluster)
        return [replace(vm, status=vm.status and replace(vm.status, task=vm.status.task[:2048])) for vm in vms]


@fails("test_a_document_as_large_as_it_may_be_is_listed_whole")
class DeclaresLessThanAMachinePublishes(Sound):
    answer_limit = 2048


@fails("test_a_document_as_large_as_it_may_be_is_listed_whole")
class DeclaresALimitThatIsNone(Sound):
    answer_limit = "4096"


class _Unparsed(Sound):
    def _look(self, name, cluster):
        vm = super()._look(name, cluster)
        text = self._machines.published(name)
        if not text:
            return vm
        said = json.loads(text)
        return replace(vm, status=NodeStatus(Stage(said["stage"]), said["state"], said.get("error", "")))


@fails("test_a_machine_may_publish_anything")
class BelievesWhatItReads(_Unparsed):
    pass


@fails("test_what_a_machine_says_scrubs_nothing")
class TakesFinishedForScrubbed(Sound):
    @hookimpl
    def list_vms(self, cluster):
        vms = super().list_vms(cluster)
        return [replace(vm, scrubbed=vm.scrubbed or bool(vm.status and vm.status.finished)) for vm in vms]
