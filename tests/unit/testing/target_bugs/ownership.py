"""Bugs in whose a machine is taken for."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict, replace

from kube_provision_core import Power, TargetError, hookimpl

from ..planted import fails
from .sound import Sound


@fails("test_a_foreign_machine_is_listed_without_stamp_and_never_taken")
class TakesWhatIsThere(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        if self._machines.read(node.name) == {}:
            shutil.rmtree(self._machines.folder / node.name)
        return super().provision_vm(node, boot)


@fails("test_a_foreign_machine_is_listed_without_stamp_and_never_taken")
class StartsWhatIsThere(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        if self._machines.read(node.name) == {}:
            return replace(self._look(node.name, None), power=Power.ON, stamp=node.stamp)
        return super().provision_vm(node, boot)


@fails("test_a_foreign_machine_is_listed_without_stamp_and_never_taken")
class HidesForeignMachines(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [vm for vm in super().list_vms(cluster) if vm.stamp]


def _believing(hook):
    """Does to the machine of that name what it was told, without a look at whose it is."""

    class Driver(Sound):
        def _require_own(self, name, stamp):
            if sys._getframe(1).f_code.co_name == hook:
                return self._machines.read(name) or {}
            return super()._require_own(name, stamp)

    return Driver


@fails("test_a_foreign_machine_is_never_changed")
class DestroysWhatItIsTold(_believing("destroy_vm")):
    pass


@fails("test_a_foreign_machine_is_never_changed")
class ScrubsWhatItIsTold(_believing("scrub_boot")):
    pass


@fails("test_a_foreign_machine_is_never_changed")
class StartsWhatItIsTold(_believing("start_vm")):
    pass


@fails("test_what_has_taken_the_place_of_a_destroyed_machine_survives")
class DestroysByName(_believing("destroy_vm")):
    pass


def _judging(same):
    class Driver(Sound):
        def _require_own(self, name, stamp):
            found = self._look(name, None).stamp
            if found is None or stamp is None or not same(found, stamp):
                raise TargetError(f"{name} is not ours")
            return self._machines.read(name)

    return Driver


@fails("test_a_machine_of_another_cluster_is_never_taken")
class TakesAClusterByItsName(_judging(lambda found, stamp: found.cluster == stamp.cluster)):
    pass


@fails("test_a_machine_of_another_cluster_is_never_taken")
class TakesWhateverIsStamped(_judging(lambda found, stamp: True)):
    pass


@fails("test_a_machine_of_another_cluster_is_never_changed")
class KnowsAClusterByItsName(_judging(lambda found, stamp: found.cluster == stamp.cluster)):
    pass


@fails("test_another_clusters_secrets_stay_in_place")
class ScrubsAClusterByItsName(_judging(lambda found, stamp: found.cluster == stamp.cluster)):
    pass


@fails("test_a_stamp_is_never_rewritten")
class RewritesStamps(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        super().provision_vm(node, boot)
        self._machines.update(node.name, stamp=asdict(node.stamp))
        return self._look(node.name, None)


@fails("test_a_stamp_is_never_rewritten")
class RefusesAnotherSpecification(_judging(lambda found, stamp: found == stamp)):
    pass


@fails("test_a_machine_of_another_cluster_that_bears_a_needed_name_is_listed")
class HidesOthersUnderOurNames(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [vm for vm in super().list_vms(cluster) if not vm.stamp or vm.stamp.cluster == cluster.name]
