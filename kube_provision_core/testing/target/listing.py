"""`list_vms`: every machine of the cluster, with all that its stamp says, each once, as it is now; and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ... import Cluster, Power, Role, Stamp, Vm
from ..connected import Connected
from ..offers import offered
from ..samples import CLUSTER_ID, OTHER_ID, node_of
from .fixtures import NAMES, WORKER, TargetFixtures, listed, make, one, ours

STAMPS = {
    "master": Stamp("contract", CLUSTER_ID, Role.MASTER, "0123456789ab"),
    "master with the authorities": Stamp(
        "contract", CLUSTER_ID, Role.MASTER, "ba9876543210", carries_ca=True, instance="5f0c"
    ),
    "worker that tells what it was made of": Stamp(
        "contract",
        CLUSTER_ID,
        Role.WORKER,
        "0123456789ab",
        instance="5f0d",
        made_of={"core": {"cpu": 2, "kubelet": {"maxPods": 110, "evictionHard": {"memory.available": '"5%" | é'}}}},
    ),
    "discovery": Stamp("contract", CLUSTER_ID, Role.DISCOVERY, "000000000000"),
    "another cluster of this name": Stamp("contract", OTHER_ID, Role.WORKER, "0123456789ab"),
}


class ListingChecks(TargetFixtures):
    def test_an_empty_target_lists_nothing(self, driver: Connected, cluster: Cluster) -> None:
        assert listed(driver, cluster) == []

    def test_list_vms_tells_what_provision_vm_stamped(self, connect: Callable[[], Connected], cluster: Cluster) -> None:
        made = make(connect())
        found = ours(connect(), cluster)[WORKER.name]
        assert (found.id, found.stamp, found.power) == (made.id, WORKER.stamp, Power.ON)

    @pytest.mark.parametrize("kind", STAMPS)
    def test_list_vms_tells_every_field_of_a_stamp(
        self, connect: Callable[[], Connected], cluster: Cluster, kind: str
    ) -> None:
        node = replace(node_of("x-contract-1", STAMPS[kind].role), stamp=STAMPS[kind])
        make(connect(), node)
        assert one(connect(), cluster, node.name).stamp == STAMPS[kind]

    def test_list_vms_tells_in_which_failure_domain_a_machine_was_made(
        self, connect: Callable[[], Connected], cluster: Cluster
    ) -> None:
        named = getattr(connect().driver, "failure_domains", {}).get(WORKER.role, ())
        domain = named[-1] if named else None
        make(connect(), replace(WORKER, failure_domain=domain))
        assert one(connect(), cluster).failure_domain == (domain.name if domain else "")

    def test_list_vms_looks_anew_every_time(self, connect: Callable[[], Connected], cluster: Cluster) -> None:
        watching, other = connect(), connect()
        assert ours(watching, cluster) == {}
        vm = make(other)
        assert set(ours(watching, cluster)) == {WORKER.name}
        other.destroy_vm(vm=vm)
        assert ours(watching, cluster) == {}

    def test_list_vms_tells_of_machines_that_nobody_needs_any_more(self, driver: Connected, cluster: Cluster) -> None:
        surplus = node_of("w-contract-9")
        make(driver, surplus)
        assert [vm.name for vm in listed(driver, cluster)] == [surplus.name]

    def test_list_vms_tells_of_each_machine_once(self, driver: Connected, cluster: Cluster) -> None:
        for name in NAMES:
            make(driver, node_of(name))
        assert sorted(vm.name for vm in listed(driver, cluster)) == sorted(NAMES)

    def test_list_vms_leaves_out_other_clusters(self, driver: Connected, cluster: Cluster) -> None:
        make(driver, node_of("w-elsewhere-1", cluster="elsewhere", cluster_id=OTHER_ID))
        assert listed(driver, cluster) == []

    @pytest.mark.parametrize("name", ["contract-2", "contrac", "my-contract"])
    def test_list_vms_leaves_out_clusters_of_a_similar_name(self, driver: Connected, cluster: Cluster, name: str) -> None:
        make(driver, node_of(f"w-{name}-1", cluster=name, cluster_id=OTHER_ID))
        assert listed(driver, cluster) == []

    def test_a_machine_that_is_off_is_listed_so(
        self, driver: Connected, cluster: Cluster, power_off: Callable[[Vm], None] | None
    ) -> None:
        off, on = make(driver), make(driver, node_of("w-contract-2"))
        offered(power_off, "power_off")(off)
        power = {name: vm.power for name, vm in ours(driver, cluster).items()}
        assert power == {off.name: Power.OFF, on.name: Power.ON}

    def test_list_vms_answers_soon(self, driver: Connected, cluster: Cluster) -> None:
        """The core polls; no driver waits."""
        make(driver)
        self.soon(lambda: listed(driver, cluster))
