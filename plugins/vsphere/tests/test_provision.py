"""One call makes a whole machine."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from servers.simulator import Inventory, Machine, Simulator, Template

from kube_provision_core import Boot, Cluster, Node, Power, Role, TargetError, Vm
from kube_provision_core.contract.driver import listening
from kube_provision_vsphere import stamp
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]


def provision_all(driver: Vsphere, nodes: Sequence[Node], boot: MakeBoot) -> list[Vm]:
    with ThreadPoolExecutor(driver.parallel) as pool:
        return list(pool.map(lambda node: driver.provision_vm(node, boot(node)), nodes))


def text(value: str) -> str:
    return gzip.decompress(base64.b64decode(value)).decode()


def test_the_clone_carries_everything(vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot) -> None:
    driver = driver_for(vcenter, datastore="LocalDS_1", network="DC0_DVPG0", resource_pool="DC0_C0_RP1")
    machine = node(1, cpu=4, memory_gib=8, boot_disk_gib=20, data_volumes_gib=(30, 5, 30))
    vm = driver.provision_vm(machine, boot(machine))
    seen = vcenter.vm("w-prod-1")
    assert vm.where == seen["path"] == "/DC0/vm/k8s/w-prod-1"
    assert (seen["power"], seen["cpu"], seen["memory_mib"]) == ("poweredOn", 4, 8192)
    assert [disk["gib"] for disk in seen["disks"]] == [20, 30, 5, 30]
    assert (seen["pool"], seen["datastores"], seen["networks"]) == ("DC0_C0_RP1", ["LocalDS_1"], ["DC0_DVPG0"])
    assert seen["annotation"] == "kube-provision: worker of cluster prod"


def test_one_call_makes_one_machine(vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot) -> None:
    driver.provision_vm(node(1, boot_disk_gib=20, data_volumes_gib=(5, 5)), boot(node(1)))
    counts = vcenter.counts()
    changing = {method: count for method, count in counts.items() if method.endswith("_Task")}
    assert changing == {"CloneVM_Task": 1}


def test_boot_data_is_delivered_as_guestinfo(vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot) -> None:
    driver.provision_vm(node(1), boot(node(1)))
    config = vcenter.vm("w-prod-1")["extra_config"]
    assert config["guestinfo.userdata.encoding"] == config["guestinfo.metadata.encoding"] == "gzip+base64"
    assert text(config["guestinfo.userdata"]) == boot(node(1)).user_data
    assert json.loads(text(config["guestinfo.metadata"]))["instance-id"] == "w-prod-1-instance"


@pytest.mark.parametrize("key", [stamp.STATUS, stamp.SCRUBBED])
def test_what_a_template_was_before_is_not_said_of_its_clones(
    driver: Vsphere, node: MakeNode, boot: MakeBoot, key: str
) -> None:
    """vCenter's clones inherit all keys, the simulator's none; an empty value deletes one."""
    assert driver._target.order(node(1), boot(node(1))).extra_config[key] == ""


def test_disks_show_their_identity_to_the_storage_driver(
    vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot
) -> None:
    driver.provision_vm(node(1), boot(node(1)))
    assert vcenter.vm("w-prod-1")["extra_config"]["disk.enableUUID"] == "TRUE"


def test_without_a_network_the_templates_is_kept(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(templates=[Template("ubuntu", network="DC0_DVPG0")])
    driver_for(vcenter).provision_vm(node(1), boot(node(1)))
    assert vcenter.vm("w-prod-1")["networks"] == ["DC0_DVPG0"]


def test_a_linked_clone_shares_the_templates_disk(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    driver_for(vcenter, linked_clone=True).provision_vm(node(1), boot(node(1)))
    assert [disk["linked"] for disk in vcenter.vm("w-prod-1")["disks"]] == [True]


def test_roles_have_their_own_placement(vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot) -> None:
    driver = driver_for(vcenter, roles={Role.MASTER: {"datastore": "LocalDS_1", "folder": "/DC0/vm"}})
    provision_all(driver, [node(1), node(1, Role.MASTER)], boot)
    assert vcenter.vm("m-prod-1")["path"] == "/DC0/vm/m-prod-1"
    assert vcenter.vm("m-prod-1")["datastores"] == ["LocalDS_1"]
    assert vcenter.vm("w-prod-1")["datastores"] == ["LocalDS_0"]


def test_calls_per_machine_stay_near_one(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(call_delay=0.02, clone_time=0.3)
    driver = driver_for(vcenter)
    provision_all(driver, [node(index) for index in range(1, 65)], boot)
    counts = vcenter.counts()
    assert counts["CloneVM_Task"] == 64
    assert sum(counts.values()) <= 64 * 1.1 + 30


def test_a_failed_clone_is_told_in_vcenters_words(
    vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter.fail("CloneVM_Task", "w-prod-1", "GenericVmConfigFault", message="The host has no more room.")
    with pytest.raises(TargetError) as caught:
        driver.provision_vm(node(1), boot(node(1)))
    assert str(caught.value) == "w-prod-1: clone: The host has no more room. (vim.fault.GenericVmConfigFault)"
    assert vcenter.machine_names() == []


def test_one_failure_does_not_touch_the_others(vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot) -> None:
    vcenter.fail("CloneVM_Task", "w-prod-2")
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(driver.provision_vm, node(index), boot(node(index))) for index in range(1, 5)]
        errors = [future.exception(60) for future in futures]
    assert [type(error).__name__ for error in errors] == ["NoneType", "VcenterError", "NoneType", "NoneType"]
    assert vcenter.machine_names() == ["w-prod-1", "w-prod-3", "w-prod-4"]


def test_a_template_that_vanishes_is_named(vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot) -> None:
    driver.preflight([(node(1), boot(node(1)))])
    vcenter.destroy("ubuntu")
    with pytest.raises(TargetError, match=r"w-prod-1: clone: /DC0/vm/ubuntu no longer exists in vCenter"):
        driver.provision_vm(node(1), boot(node(1)))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("InsufficientResourcesFault", "vCenter has not enough resources"),
        ("InsufficientMemoryResourcesFault", "vCenter has not enough resources"),
        ("NotSupported", "vCenter does not support it"),
    ],
)
def test_faults_say_what_to_do(
    vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot, fault: str, said: str
) -> None:
    vcenter.fail("CloneVM_Task", "w-prod-1", fault)
    with pytest.raises(TargetError, match=said):
        driver.provision_vm(node(1), boot(node(1)))


def test_a_missing_privilege_is_named_with_its_object(
    vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    driver.preflight([(node(1), boot(node(1)))])
    template = vcenter.vm("ubuntu")["id"]
    fields = {"Object": {"Type": "VirtualMachine", "Value": template}, "PrivilegeId": "VirtualMachine.Provisioning.Clone"}
    vcenter.fail("CloneVM_Task", "w-prod-1", "NoPermission", fields=fields)
    with pytest.raises(TargetError) as caught:
        driver.provision_vm(node(1), boot(node(1)))
    assert str(caught.value) == (
        "w-prod-1: clone: the vCenter account lacks the privilege VirtualMachine.Provisioning.Clone on /DC0/vm/ubuntu"
    )


def test_a_second_run_takes_the_machine_over(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    first = driver_for(vcenter).provision_vm(node(1), boot(node(1)))
    vcenter.reset_counts()
    again = driver_for(vcenter).provision_vm(node(1), boot(node(1)))
    assert again.id == first.id
    assert "CloneVM_Task" not in vcenter.counts()


def test_a_machine_that_is_off_is_powered_on(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    driver = driver_for(vcenter)
    vm = driver.provision_vm(node(1), boot(node(1)))
    driver._target.vcenter.machines.power_off(vm.name, vm.id)
    assert driver_for(vcenter).provision_vm(node(1), boot(node(1))).power is Power.ON
    assert vcenter.vm("w-prod-1")["power"] == "poweredOn"


def test_taking_over_needs_nothing_that_creating_needs(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    first = driver_for(vcenter).provision_vm(node(1), boot(node(1)))
    assert driver_for(vcenter, template="gone").provision_vm(node(1), boot(node(1))).id == first.id


def test_our_machine_that_somebody_moved_is_found(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    moved = driver_for(vcenter, folder="/DC0/vm").provision_vm(node(1), boot(node(1)))
    assert driver_for(vcenter, folder="k8s").provision_vm(node(1), boot(node(1))).id == moved.id


def test_a_name_taken_since_the_last_look_is_refused(
    vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    driver.list_vms(cluster)
    vcenter.create(Machine("k8s/w-prod-1"))
    with pytest.raises(TargetError) as caught:
        driver.provision_vm(node(1), boot(node(1)))
    assert str(caught.value) == (
        "/DC0/vm/k8s/w-prod-1: this machine bears the name w-prod-1 and is not one of cluster prod's; it is left alone. "
        "Rename it, or choose another name for the cluster"
    )


def test_a_machine_that_another_run_made_meanwhile_is_taken_over(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    slow, fast = driver_for(vcenter), driver_for(vcenter)
    slow.list_vms(cluster)
    made = fast.provision_vm(node(1), boot(node(1)))
    assert slow.provision_vm(node(1), boot(node(1))).id == made.id


def test_machines_without_drs_take_hosts_in_turn(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(inventory=Inventory(hosts=3, drs=False))
    masters = [node(index, Role.MASTER) for index in (1, 2, 3)]
    provision_all(driver_for(vcenter), masters, boot)
    assert {vcenter.vm(master.name)["host"] for master in masters} == {"DC0_C0_H0", "DC0_C0_H1", "DC0_C0_H2"}


def test_discovery_machines_without_drs_do_not_meet(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(inventory=Inventory(hosts=3, drs=False))
    servers = [node(index, Role.DISCOVERY) for index in (0, 2, 3)]
    provision_all(driver_for(vcenter), servers, boot)
    assert [vcenter.vm(server.name)["host"] for server in servers] == ["DC0_C0_H2", "DC0_C0_H1", "DC0_C0_H0"]


def test_a_datastore_cluster_spreads_machines(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(inventory=Inventory(datastores=2, datastore_cluster="POD0"))
    nodes = [node(index) for index in range(1, 5)]
    provision_all(driver_for(vcenter, datastore="POD0"), nodes, boot)
    used = {vcenter.vm(one.name)["datastores"][0] for one in nodes}
    assert used == {"LocalDS_0", "LocalDS_1"}


def test_all_disks_of_a_machine_count_where_a_datastore_cluster_has_room(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    """The template's has 10 GiB: six machines of that and no more are smaller than one with all of these."""
    vcenter = simulate(inventory=Inventory(datastores=2, datastore_cluster="POD0"))
    driver = driver_for(vcenter, datastore="POD0")
    for one in (node(1, data_volumes_gib=(30, 30)), *(node(index) for index in range(2, 8))):
        driver.provision_vm(one, boot(one))
    first, *others = (vcenter.vm(f"w-prod-{index}")["datastores"] for index in range(1, 8))
    assert first not in others


@pytest.mark.parametrize("ignores", ["size", "power"])
def test_what_a_server_leaves_undone_is_done(
    simulate: Callable[..., Simulator],
    driver_for: MakeDriver,
    node: MakeNode,
    boot: MakeBoot,
    ignores: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from kube_provision_vsphere.client import machines

    monkeypatch.setattr(machines, "POWER_GRACE", 0.2)
    vcenter = simulate(clone_ignores=[ignores])
    driver_for(vcenter).provision_vm(node(1), boot(node(1)))
    seen: dict[str, Any] = vcenter.vm("w-prod-1")
    assert (seen["power"], seen["cpu"], seen["memory_mib"]) == ("poweredOn", 2, 4096)


def test_how_far_a_clone_is_stands_in_the_row_of_its_own_machine(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    driver = driver_for(simulate(clone_time=0.5))
    told: dict[str, list[str]] = {"w-prod-1": [], "w-prod-2": []}

    def make(index: int) -> None:
        with listening(told[f"w-prod-{index}"].append):
            driver.provision_vm(node(index), boot(node(index)))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(make, (1, 2)))
    assert told == {"w-prod-1": ["clone: 17 %"], "w-prod-2": ["clone: 17 %"]}
