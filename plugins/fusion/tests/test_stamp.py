"""A stamp that is written anew stays, whatever the running machine writes when it stops; and says nothing of whose it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from servers.vmware import Vmware

from kube_provision_core import Cluster, Stamp, Vm
from kube_provision_fusion import note
from kube_provision_fusion.driver import Fusion


@pytest.fixture
def anew(vm: Vm) -> Stamp:
    assert vm.stamp
    return replace(vm.stamp, spec="ba9876543210", made_of={"core": {"kubelet": {"maxPods": 200}}})


def test_it_stays_when_the_machine_stops(vmware: Vmware, driver: Fusion, cluster: Cluster, vm: Vm, anew: Stamp) -> None:
    driver.restamp_vm(vm=vm, stamp=anew)
    vmware.vmrun().switch_off(Path(vm.id))
    (found,) = driver.list_vms(cluster=cluster)
    assert found.stamp == anew
    driver.scrub_boot(vm=found)
    (found,) = driver.list_vms(cluster=cluster)
    assert (found.stamp, found.scrubbed) == (anew, True)


@pytest.mark.parametrize("whose", [{"cluster_id": "another"}, {"instance": "another one"}])
def test_a_note_of_another_machine_is_not_believed(
    driver: Fusion, cluster: Cluster, vm: Vm, anew: Stamp, whose: dict[str, str]
) -> None:
    noted = note.read(Path(vm.id).parent)
    assert noted
    note.write(Path(vm.id).parent, replace(noted, stamp=replace(anew, **whose)))
    (found,) = driver.list_vms(cluster=cluster)
    assert found.stamp == vm.stamp
