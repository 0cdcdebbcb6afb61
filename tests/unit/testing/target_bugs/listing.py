"""Bugs in `list_vms`."""

from __future__ import annotations

import time
from dataclasses import replace

from kube_provision_core import FailureDomain, Power, Role, TargetError, Vm, hookimpl

from ..planted import fails
from .sound import Sound


@fails("test_an_empty_target_lists_nothing")
class MakesUpAMachine(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return super().list_vms(cluster) or [Vm("w-contract-1", "stand-in", Power.OFF, None)]


@fails("test_an_empty_target_lists_nothing")
class AnswersNothingWhenEmpty(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return super().list_vms(cluster) or None


@fails("test_an_empty_target_lists_nothing")
class FailsWhenEmpty(Sound):
    @hookimpl
    def list_vms(self, cluster):
        if not self._machines.folder.exists():
            raise TargetError("there is no such folder")
        return super().list_vms(cluster)


@fails("test_list_vms_tells_what_provision_vm_stamped")
class ForgetsStamps(Sound):
    stamps = {}  # noqa: RUF012 - on purpose: what is kept in memory is forgotten by the next run

    @hookimpl
    def list_vms(self, cluster):
        return [replace(vm, stamp=None) for vm in super().list_vms(cluster)]


@fails("test_list_vms_tells_in_which_failure_domain_a_machine_was_made")
class ForgetsFailureDomains(Sound):
    failure_domains = dict.fromkeys(Role, (FailureDomain("zone-a"),))


def _losing(**fields):
    class Driver(Sound):
        @hookimpl
        def list_vms(self, cluster):
            return [replace(vm, stamp=vm.stamp and replace(vm.stamp, **fields)) for vm in super().list_vms(cluster)]

    return Driver


@fails("test_list_vms_tells_every_field_of_a_stamp")
class LosesRoles(_losing(role=Role.WORKER)):
    pass


@fails("test_list_vms_tells_every_field_of_a_stamp")
class LosesWhoCarriesTheAuthorities(_losing(carries_ca=False)):
    pass


@fails("test_list_vms_tells_every_field_of_a_stamp")
class LosesSpecifications(_losing(spec="0123456789ab")):
    pass


@fails("test_list_vms_tells_every_field_of_a_stamp")
class LosesInstances(_losing(instance="")):
    pass


@fails("test_list_vms_tells_every_field_of_a_stamp")
class TellsTheIdThatIsAskedFor(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [replace(vm, stamp=vm.stamp and replace(vm.stamp, cluster_id=cluster.id)) for vm in super().list_vms(cluster)]


@fails("test_list_vms_looks_anew_every_time")
class RemembersWhatItSaw(Sound):
    seen = None

    @hookimpl
    def list_vms(self, cluster):
        if self.seen is None:
            self.seen = super().list_vms(cluster)
        return self.seen


@fails("test_list_vms_tells_of_machines_that_nobody_needs_any_more")
class ListsNeededNamesAlone(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [vm for vm in super().list_vms(cluster) if vm.name in cluster.names]


@fails("test_list_vms_tells_of_each_machine_once")
class ListsTwice(Sound):
    @hookimpl
    def list_vms(self, cluster):
        vms = super().list_vms(cluster)
        return [*vms, *(vm for vm in vms if vm.name in cluster.names and vm.stamp)]


@fails("test_list_vms_leaves_out_other_clusters")
class ListsEverything(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [self._look(name, cluster) for name in self._machines.names()]


def _matching(matches):
    class Driver(Sound):
        @hookimpl
        def list_vms(self, cluster):
            vms = [self._look(name, cluster) for name in self._machines.names()]
            return [vm for vm in vms if vm.name in cluster.names or (vm.stamp and matches(vm.stamp.cluster, cluster.name))]

    return Driver


@fails("test_list_vms_leaves_out_clusters_of_a_similar_name")
class MatchesBeginnings(_matching(lambda found, wanted: found.startswith(wanted))):
    pass


@fails("test_list_vms_leaves_out_clusters_of_a_similar_name")
class MatchesEnds(_matching(lambda found, wanted: found.endswith(wanted))):
    pass


@fails("test_list_vms_leaves_out_clusters_of_a_similar_name")
class MatchesTheOtherWay(_matching(lambda found, wanted: wanted.startswith(found))):
    pass


@fails("test_a_machine_that_is_off_is_listed_so")
class SaysThatAllAreOn(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [replace(vm, power=Power.ON) for vm in super().list_vms(cluster)]


@fails("test_a_machine_that_is_off_is_listed_so")
class ListsWhatRunsAlone(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [vm for vm in super().list_vms(cluster) if vm.power is Power.ON]


@fails("test_list_vms_answers_soon")
class PollsByItself(Sound):
    @hookimpl
    def list_vms(self, cluster):
        vms = super().list_vms(cluster)
        for _ in range(80 if vms and not vms[0].status else 0):
            time.sleep(0.05)
        return vms
