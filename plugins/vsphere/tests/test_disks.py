"""A machine goes with the disks that it was made with; whatever else is attached to it is somebody's data."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from servers.simulator import Inventory, Machine, Simulator

from kube_provision_core import Boot, Cluster, Image, Node, Role, TargetError, Vm
from kube_provision_core import Machine as Size
from kube_provision_vsphere import stamp
from kube_provision_vsphere.client import read
from kube_provision_vsphere.client.disks import free_places
from kube_provision_vsphere.client.vmomi import vim
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]

TEMPLATES = "[LocalDS_0] ubuntu/ubuntu.vmdk"
VOLUME = "[LocalDS_0] fcd/volume.vmdk"


@pytest.fixture
def make(driver: Vsphere, node: MakeNode, boot: MakeBoot) -> Callable[..., Vm]:
    def made(index: int = 1, **size: Any) -> Vm:
        wanted = node(index, **size)
        return driver.provision_vm(wanted, boot(wanted))

    return made


def left(vcenter: Simulator) -> list[str]:
    """Files of disks besides the template's."""
    return [file for file in vcenter.disks() if file != TEMPLATES]


@pytest.mark.parametrize(
    "size", [{}, {"boot_disk_gib": 20}, {"data_volumes_gib": (5,)}, {"boot_disk_gib": 20, "data_volumes_gib": (5, 7, 5)}]
)
def test_a_machine_takes_its_own_disks_along(
    vcenter: Simulator, driver: Vsphere, make: Callable[..., Vm], size: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    vm = make(1, **size)
    assert len(left(vcenter)) == 1 + len(size.get("data_volumes_gib", ()))
    assert driver.destroy_vm(vm) is True
    assert vcenter.disks() == [TEMPLATES]
    assert "kept" not in caplog.text


@pytest.mark.parametrize(
    ("file", "first_class"),
    [
        (VOLUME, True),
        (VOLUME, False),
        ("[LocalDS_1] kubevols/pvc.vmdk", False),
        ("[LocalDS_0] w-prod-1/w-prod-1_7.vmdk", False),
    ],
)
def test_a_disk_that_was_attached_later_is_detached_and_told(
    vcenter: Simulator,
    driver: Vsphere,
    make: Callable[..., Vm],
    caplog: pytest.LogCaptureFixture,
    file: str,
    first_class: bool,
) -> None:
    vm = make(1, data_volumes_gib=(5, 5))
    vcenter.attach("w-prod-1", file, first_class=first_class)
    with caplog.at_level(logging.WARNING):
        driver.destroy_vm(vm)
    assert left(vcenter) == [file]
    assert f"w-prod-1: not its own alone, so detached before it is deleted, and kept: {file}" in caplog.text
    assert vcenter.machine_names() == []


def device(kind: str, key: int, controller: int | None = None, unit: int | None = None) -> Any:
    return getattr(vim.vm.device, kind)(key=key, controllerKey=controller, unitNumber=unit)


SCSI = device("ParaVirtualSCSIController", 1000)
DISK = device("VirtualDisk", 2000, 1000, 0)


@pytest.mark.parametrize(
    ("devices", "free"),
    [
        ([SCSI, DISK], [(1000, unit) for unit in range(1, 16) if unit != 7]),
        ([SCSI, device("VirtualDisk", 2000, 1000, 3)], [(1000, unit) for unit in range(4, 16) if unit != 7]),
        (
            [SCSI, DISK, device("VirtualIDEController", 200), *(device("VirtualDisk", 1, 1000, it) for it in range(1, 15))],
            [(1000, 15)],
        ),
        (
            [SCSI, device("VirtualDisk", 2, 1000, 14), device("VirtualAHCIController", 15000)],
            [(1000, 15), *((15000, unit) for unit in range(30))],
        ),
        (
            [SCSI, device("VirtualNVMEController", 31000), device("VirtualDisk", 2, 31000, 12)],
            [(31000, 13), (31000, 14)],
        ),
        (
            [device("VirtualIDEController", 200), device("VirtualDisk", 2, 200, 0), device("VirtualCdrom", 3, 200, 1)],
            [],
        ),
    ],
    ids=["one controller", "never before the boot disk", "almost full", "beside full ones", "not on earlier ones", "none"],
)
def test_disks_have_room_behind_the_boot_disk_where_nothing_is_plugged_in(
    devices: list[Any], free: list[tuple[int, int]]
) -> None:
    assert free_places(devices) == tuple(free)


def test_as_many_disks_as_there_is_room_for_are_made_and_more_refused_before_anything_is(
    vcenter: Simulator, driver: Vsphere, make: Callable[..., Vm], node: MakeNode, boot: MakeBoot
) -> None:
    wanted = node(1, data_volumes_gib=(5,) * 15)
    assert list(driver.preflight([(wanted, boot(wanted))])) == [
        "data_volumes: 15 wanted, and the template's controllers have room for 14 more disks; add a controller to it, or "
        "give fewer (/DC0/vm/ubuntu)"
    ]
    with pytest.raises(TargetError, match="w-prod-1: data_volumes: 15 wanted, and "):
        driver.provision_vm(wanted, boot(wanted))
    assert vcenter.machine_names() == []
    driver.destroy_vm(make(1, data_volumes_gib=(5,) * 14))
    assert left(vcenter) == []


def test_a_disk_that_vsphere_does_not_have_is_told(driver: Vsphere, node: MakeNode, boot: MakeBoot) -> None:
    wanted = node(1, data_volumes_gib=(5, 63489))
    (line,) = driver.preflight([(wanted, boot(wanted))])
    assert line.startswith("data_volumes: 63489 GiB is more than the 63488 GiB ")


def test_a_linked_clone_takes_its_own_changes_along_and_leaves_the_disk_below(
    vcenter: Simulator, driver_for: Callable[..., Vsphere], node: MakeNode, boot: MakeBoot
) -> None:
    driver = driver_for(vcenter, linked_clone=True)
    vm = driver.provision_vm(node(1), boot(node(1)))
    assert [disk["linked"] for disk in vcenter.vm("w-prod-1")["disks"]] == [True]
    driver.destroy_vm(vm)
    assert vcenter.disks() == [TEMPLATES]


@pytest.mark.parametrize("which", [0, 1, 2], ids=["boot disk", "data volume", "another"])
def test_a_disk_of_its_own_that_another_machine_uses_too_is_detached_and_told(
    vcenter: Simulator, driver: Vsphere, make: Callable[..., Vm], caplog: pytest.LogCaptureFixture, which: int
) -> None:
    vm = make(1, data_volumes_gib=(5, 5))
    file = vcenter.vm("w-prod-1")["disks"][which]["file"]
    vcenter.create(Machine("rescue"))
    vcenter.attach("rescue", file, first_class=False)
    with caplog.at_level(logging.WARNING):
        driver.destroy_vm(vm)
    assert f"and kept: {file} (used by rescue too)" in caplog.text
    assert vcenter.machine_names() == ["rescue"]
    assert file in vcenter.disks()


def test_a_disk_that_a_linked_copy_builds_on_keeps_the_machine(
    vcenter: Simulator, driver: Vsphere, make: Callable[..., Vm]
) -> None:
    vm = make(1)
    vcenter.take_snapshot("w-prod-1")
    file = vcenter.vm("w-prod-1")["disks"][0]["file"]
    vcenter.copy("w-prod-1", "before-upgrade", linked=True)
    with pytest.raises(TargetError, match=r"w-prod-1.vmdk \(used by before-upgrade too\) was not made with it alone"):
        driver.destroy_vm(vm)
    assert vcenter.vm("w-prod-1")["power"] == "poweredOn"
    assert file in vcenter.disks()


def test_many_machines_are_destroyed_with_one_look_at_who_uses_their_disks(
    vcenter: Simulator, driver: Vsphere, make: Callable[..., Vm], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    plain = read.retrieve

    def counting(session: Any, doing: str, *selects: Any) -> Any:
        looked.append(doing)
        return plain(session, doing, *selects)

    monkeypatch.setattr("kube_provision_vsphere.client.users.retrieve", counting)
    for vm in [make(index) for index in range(1, 4)]:
        driver.destroy_vm(vm)
    assert len(looked) == 1


def test_a_template_is_never_taken_along(vcenter: Simulator, driver: Vsphere, make: Callable[..., Vm]) -> None:
    vm = make(1)
    vcenter.attach("w-prod-1", TEMPLATES, first_class=False)
    driver.destroy_vm(vm)
    assert vcenter.disks() == [TEMPLATES]


def test_a_machine_that_shares_its_disk_with_the_template_goes_without_it(
    simulate: Callable[..., Simulator], driver_for: Callable[..., Vsphere], node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(inventory=Inventory(takes_files_literally=True))
    driver = driver_for(vcenter)
    wanted = node(1, boot_disk_gib=20, data_volumes_gib=(5,))
    vm = driver.provision_vm(wanted, boot(wanted))
    assert vcenter.vm("w-prod-1")["disks"][0]["file"] == TEMPLATES
    driver.destroy_vm(vm)
    assert vcenter.machine_names() == []
    assert vcenter.disks() == [TEMPLATES, "[LocalDS_0] w-prod-1/w-prod-1.vmdk"]


def test_a_grown_disk_is_no_file_of_the_template(vcenter: Simulator, make: Callable[..., Vm]) -> None:
    make(1, boot_disk_gib=20)
    assert vcenter.vm("w-prod-1")["disks"] == [{"gib": 20, "linked": False, "file": "[LocalDS_0] w-prod-1/w-prod-1.vmdk"}]


def test_a_machine_that_does_not_say_what_it_was_made_with_goes_with_its_boot_disk_alone(
    vcenter: Simulator, driver: Vsphere, make: Callable[..., Vm]
) -> None:
    vm = make(1, data_volumes_gib=(5,))
    _, data = vcenter.vm("w-prod-1")["disks"]
    vcenter.publish("w-prod-1", {stamp.DISKS: ""})
    driver.destroy_vm(vm)
    assert left(vcenter) == [data["file"]]


def test_a_volume_that_a_snapshot_holds_keeps_the_machine(
    vcenter: Simulator, driver: Vsphere, make: Callable[..., Vm]
) -> None:
    vm = make(1)
    vcenter.attach("w-prod-1", VOLUME)
    vcenter.take_snapshot("w-prod-1")
    with pytest.raises(TargetError, match=r"w-prod-1: \[LocalDS_0\] fcd/volume.vmdk was not made with it .* snapshots"):
        driver.destroy_vm(vm)
    assert vcenter.vm("w-prod-1")["power"] == "poweredOn"
    assert VOLUME in vcenter.disks()


def test_a_snapshot_of_its_own_disks_goes_with_the_machine(
    vcenter: Simulator, driver: Vsphere, make: Callable[..., Vm]
) -> None:
    vm = make(1)
    vcenter.take_snapshot("w-prod-1")
    driver.destroy_vm(vm)
    assert left(vcenter) == []


def test_a_disk_that_cannot_be_detached_keeps_the_machine(
    vcenter: Simulator, driver: Vsphere, make: Callable[..., Vm]
) -> None:
    vm = make(1)
    vcenter.attach("w-prod-1", VOLUME)
    vcenter.fail("ReconfigVM_Task", "w-prod-1", "NoPermission", fields={"PrivilegeId": "VirtualMachine.Config.RemoveDisk"})
    with pytest.raises(TargetError, match=r"detach \[LocalDS_0\] fcd/volume.vmdk: .* VirtualMachine.Config.RemoveDisk"):
        driver.destroy_vm(vm)
    assert vcenter.machine_names() == ["w-prod-1"]
    assert VOLUME in vcenter.disks()


def test_a_machine_that_was_to_become_a_template_leaves_what_was_attached_to_it(
    vcenter: Simulator, driver_for: Callable[..., Vsphere]
) -> None:
    baker = driver_for(vcenter, template="kube", bake_from="ubuntu")
    (template,) = baker.list_templates(frozenset({Role.WORKER}))
    image = Image("spec", Boot("kube", "kube-instance", "#cloud-config\n{}\n"), "", Size(2, 4))
    baker.bake_image(template, image)
    vcenter.attach("kube.baking", VOLUME)
    baker.bake_image(template, image)
    assert left(vcenter) == [VOLUME, "[LocalDS_0] kube.baking/kube.baking.vmdk"]
    assert len(vcenter.vm("kube.baking")["disks"]) == 1


def test_a_foreign_machine_of_a_stamped_ones_name_keeps_everything(
    vcenter: Simulator, driver: Vsphere, cluster: Cluster
) -> None:
    vcenter.create(Machine("k8s/w-prod-1"))
    vcenter.attach("w-prod-1", VOLUME)
    (foreign,) = driver.list_vms(cluster)
    with pytest.raises(TargetError):
        driver.destroy_vm(foreign)
    assert len(vcenter.vm("w-prod-1")["disks"]) == 2
