"""Templates that are baked from an item of a content library, which is deployed in place of a clone."""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from servers.simulator import STATUS_KEY, Inventory, LibraryItem, Machine, Simulator

from kube_provision_core import Baked, Boot, ConfigError, Image, Role, TargetError, Template
from kube_provision_core import Machine as Size
from kube_provision_vsphere import stamp
from kube_provision_vsphere.client import session
from kube_provision_vsphere.client.library import find_item
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeDriver = Callable[..., Vsphere]
Simulate = Callable[..., Simulator]

ROLES = frozenset(Role)
SPEC = "aaaabbbbcccc"
IMAGE = Image(SPEC, Boot(f"bake-{SPEC}", f"bake-{SPEC}", "#cloud-config\n# bakes\n"), "", Size(2, 4))
BAKED = Baked(SPEC, "2026-11-27T10:00:00Z", "Ubuntu 24.04", {"kubeadm": "1.36.4-1.1"}, ())
SOURCE = "content library images/ubuntu, version 1"
KEYS: dict[str, Any] = {
    "template": "kube",
    "bake_from": {"library": "images", "item": "ubuntu"},
    "datastore": "LocalDS_1",
    "network": "DC0_DVPG0",
}
DEPLOY = "OvfLibraryItem.deploy"


@pytest.fixture
def items() -> Inventory:
    known = [
        LibraryItem("images", "ubuntu", disk_gib=20),
        LibraryItem("images", "debian"),
        LibraryItem("images", "licensed", eula=True),
        LibraryItem("tools", "installer", type="iso"),
    ]
    return Inventory(datastores=2, items=known, policies={"gold": ["LocalDS_1"]})


@pytest.fixture
def vcenter(simulate: Simulate, items: Inventory) -> Simulator:
    return simulate(inventory=items)


@pytest.fixture
def driver(vcenter: Simulator, driver_for: MakeDriver) -> Vsphere:
    return driver_for(vcenter, **KEYS)


def only(driver: Vsphere) -> Template:
    (template,) = driver.list_templates(ROLES)
    return template


def problems(driver: Vsphere) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        driver.list_templates(ROLES)
    return list(refused.value.problems)


def source(item: str, library: str = "images") -> dict[str, Any]:
    return {**KEYS, "bake_from": {"library": library, "item": item}}


def test_the_source_is_named_with_its_version(vcenter: Simulator, driver: Vsphere) -> None:
    """A new version of it makes what was baked of an earlier one outdated."""
    assert only(driver) == Template("kube", ROLES, source=SOURCE, where="/DC0/vm/k8s/kube")


def test_it_is_deployed_into_a_machine_that_bakes(vcenter: Simulator, driver: Vsphere) -> None:
    driver.bake_image(only(driver), IMAGE)
    machine = vcenter.vm("kube.baking")
    assert (machine["path"], machine["power"], machine["template"]) == ("/DC0/vm/k8s/kube.baking", "poweredOn", False)
    assert (machine["cpu"], machine["memory_mib"], machine["disks"][0]["gib"]) == (2, 4096, 20)
    assert (machine["datastores"], machine["networks"], machine["pool"]) == (["LocalDS_1"], ["DC0_DVPG0"], "Resources")
    userdata = gzip.decompress(base64.b64decode(machine["extra_config"]["guestinfo.userdata"])).decode()
    assert userdata == IMAGE.boot.user_data
    assert machine["extra_config"][stamp.DISKS] == "1000:0"
    baking = only(driver).baking
    assert baking is not None
    assert (baking.spec, baking.running) == (SPEC, True)


def test_its_properties_are_taken_away(vcenter: Simulator, driver: Vsphere) -> None:
    """cloud-init would look for boot data among them, and nowhere else."""
    driver.bake_image(only(driver), IMAGE)
    assert vcenter.vm("kube.baking")["properties"] is False


def test_a_template_comes_of_it(vcenter: Simulator, driver: Vsphere, driver_for: MakeDriver, node: Any, boot: Any) -> None:
    driver.bake_image(only(driver), IMAGE)
    status = {"stage": "finish", "state": "done", "error": "", "baked": BAKED.document}
    vcenter.publish("kube.baking", {STATUS_KEY: json.dumps(status)})
    driver.finish_image(only(driver))
    assert only(driver_for(vcenter, **KEYS)).baked == BAKED
    assert vcenter.vm("kube")["annotation"].endswith(f"\nfrom {SOURCE}")
    maker = driver_for(vcenter, **KEYS)
    maker.provision_vm(node(1), boot(node(1)))
    assert vcenter.vm("w-prod-1")["power"] == "poweredOn"
    maker.destroy_vm(next(iter(maker.list_vms(cluster_of(node)))))
    assert vcenter.machine_names() == []


def cluster_of(node: Any) -> Any:
    from kube_provision_core import Cluster

    one = node(1)
    return Cluster("prod", one.stamp.cluster_id, "1.36.2", frozenset({one.name}))


def test_a_storage_policy_and_a_host_go_along(simulate: Simulate, driver_for: MakeDriver, items: Inventory) -> None:
    from dataclasses import replace

    vcenter = simulate(inventory=replace(items, drs=False))
    driver = driver_for(vcenter, **KEYS, storage_policy="gold")
    driver.bake_image(only(driver), IMAGE)
    assert len(vcenter.vm("kube.baking")["policies"]) == 1


def test_what_a_run_left_that_was_killed_before_it_configured_the_machine_is_replaced(
    vcenter: Simulator, driver: Vsphere, driver_for: MakeDriver
) -> None:
    vcenter.fail("ReconfigVM_Task", "kube.baking", "SystemError", times=1)
    with pytest.raises(TargetError, match=r"^kube\.baking: configure: "):
        driver.bake_image(only(driver), IMAGE)
    left = vcenter.vm("kube.baking")
    assert (left["power"], stamp.BAKING in left["extra_config"]) == ("poweredOff", False)
    later = driver_for(vcenter, **KEYS)
    assert only(later).baking is None
    later.bake_image(only(later), IMAGE)
    assert vcenter.vm("kube.baking")["id"] != left["id"]
    assert only(later).baking is not None


def test_what_such_a_run_left_and_somebody_has_taken_into_use_is_left_alone(
    vcenter: Simulator, driver: Vsphere, driver_for: MakeDriver
) -> None:
    """Its note alone says that it was ours."""
    vcenter.fail("ReconfigVM_Task", "kube.baking", "SystemError", times=1)
    with pytest.raises(TargetError, match=r"^kube\.baking: configure: "):
        driver.bake_image(only(driver), IMAGE)
    driver._target.vcenter.machines.power_on("kube.baking", vcenter.vm("kube.baking")["id"])
    with pytest.raises(TargetError, match=r"kube\.baking: this machine was not made by bake"):
        driver.bake_image(only(driver), IMAGE)
    assert vcenter.vm("kube.baking")["power"] == "poweredOn"


def test_somebody_elses_machine_of_that_name_is_left_alone(
    simulate: Simulate, driver_for: MakeDriver, items: Inventory
) -> None:
    vcenter = simulate(inventory=items, machines=[Machine("k8s/kube.baking")])
    driver = driver_for(vcenter, **KEYS)
    with pytest.raises(TargetError, match=r"kube\.baking: this machine was not made by bake"):
        driver.bake_image(only(driver), IMAGE)
    assert DEPLOY not in vcenter.counts()


@pytest.mark.parametrize("kind", ["503", "reset", "lost"])
def test_an_answer_that_gets_lost_makes_no_second_machine(
    vcenter: Simulator, driver: Vsphere, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SILENCE_PAUSE", 0.01)
    template = only(driver)
    vcenter.trouble(kind, DEPLOY)
    driver.bake_image(template, IMAGE)
    assert vcenter.counts()[DEPLOY] == 2
    assert vcenter.machine_names() == ["kube.baking"]


def test_an_answer_that_gets_lost_after_a_long_time_makes_no_second_machine(
    simulate: Simulate, driver_for: MakeDriver, items: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has spoken to vCenter meanwhile, and that is no silence of its own."""
    monkeypatch.setattr(session, "SILENCE", 0.3)
    monkeypatch.setattr(session, "SILENCE_PAUSE", 0.01)
    vcenter = simulate(inventory=items, clone_time=0.8)
    driver = driver_for(vcenter, **KEYS)
    template = only(driver)
    vcenter.trouble("lost", DEPLOY)
    driver.bake_image(template, IMAGE)
    assert vcenter.counts()[DEPLOY] == 2
    assert vcenter.machine_names() == ["kube.baking"]


def test_a_front_door_that_waits_for_no_deployment_is_asked_twice(
    vcenter: Simulator, driver: Vsphere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer comes later than a silence may last."""
    monkeypatch.setattr(session, "SILENCE", 0.0)
    monkeypatch.setattr(session, "SILENCE_PAUSE", 0.01)
    template = only(driver)
    vcenter.trouble("503", DEPLOY, times=0)
    with pytest.raises(TargetError, match=r"^kube\.baking: deploy images/ubuntu, version 1: no answer from vCenter "):
        driver.bake_image(template, IMAGE)
    assert vcenter.counts()[DEPLOY] == 2


def test_what_vcenter_refuses_is_told_in_its_words(vcenter: Simulator, driver_for: MakeDriver) -> None:
    driver = driver_for(vcenter, **source("licensed"))
    with pytest.raises(
        TargetError, match=r"^kube\.baking: deploy images/licensed, version 1: The license agreement must be"
    ):
        driver.bake_image(only(driver), IMAGE)
    assert vcenter.machine_names() == []


class TestBadInput:
    def test_a_library_that_is_not_there(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        assert problems(driver_for(vcenter, **source("ubuntu", "image"))) == [
            "bake_from: there is no content library 'image', or the account may not see it; vCenter has: images, tools"
        ]

    def test_an_item_that_is_not_there(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        assert problems(driver_for(vcenter, **source("ubunto"))) == [
            "bake_from: content library 'images' has no item 'ubunto'; it has: ubuntu, debian, licensed"
        ]

    def test_of_many_items_some_are_named_and_no_time_is_lost(self, simulate: Simulate, driver_for: MakeDriver) -> None:
        many = [LibraryItem("images", f"debian-{number}") for number in range(40)]
        vcenter = simulate(inventory=Inventory(items=many), call_delay=0.1)
        ask = partial(find_item, driver_for(vcenter)._target.vcenter.rest)
        assert ask("images", "debian-7").name == "images/debian-7, version 1"
        begun = time.monotonic()
        with pytest.raises(ConfigError) as refused:
            ask("images", "debian")
        assert time.monotonic() - begun < 2.5, "a call for each item takes four seconds, if one waits for the other"
        (line,) = refused.value.problems
        assert line.count("debian-") == 10
        assert line.endswith(" and 30 more")

    def test_several_libraries_of_one_name(self, simulate: Simulate, driver_for: MakeDriver) -> None:
        """Also where one of them has the item alone: the next one that is put into the other must change nothing."""
        both = [LibraryItem("images", "ubuntu"), LibraryItem("images", "debian", number=2)]
        vcenter = simulate(inventory=Inventory(datastores=2, items=both))
        (line,) = problems(driver_for(vcenter, **source("ubuntu")))
        an_id = r"images \([0-9a-f-]{36}\)"
        assert re.fullmatch(
            rf"bake_from: 'images' names more than one content library: {an_id}, {an_id}; rename all but one of them", line
        )

    def test_several_items_of_one_name(self, simulate: Simulate, driver_for: MakeDriver) -> None:
        vcenter = simulate(inventory=Inventory(datastores=2, items=[LibraryItem("images", "ubuntu")] * 2))
        (line,) = problems(driver_for(vcenter, **source("ubuntu")))
        assert line.startswith("bake_from: 'ubuntu' names more than one item of content library 'images': ubuntu (")

    def test_a_library_in_other_letters(self, simulate: Simulate, driver_for: MakeDriver) -> None:
        """vCenter looks for names so."""
        both = [LibraryItem("images", "ubuntu"), LibraryItem("Images", "debian")]
        vcenter = simulate(inventory=Inventory(datastores=2, items=both))
        (line,) = problems(driver_for(vcenter, **source("ubuntu", "IMAGES")))
        assert line.endswith("vCenter has: Images, images")
        assert find_item(driver_for(vcenter)._target.vcenter.rest, "Images", "debian").name == "Images/debian, version 1"

    def test_an_item_of_another_type(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        assert problems(driver_for(vcenter, **source("installer", "tools"))) == [
            "bake_from: item tools/installer is of the type 'iso'; machines are deployed from OVF templates"
        ]

    def test_no_place_for_it(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        assert problems(driver_for(vcenter, **{**KEYS, "datastore": None, "network": None})) == [
            "datastore: not set, and bake_from names no template that has one; name one",
            "network: not set, and bake_from names no template that has one; name one",
        ]

    def test_missing_privileges(self, simulate: Simulate, driver_for: MakeDriver, items: Inventory) -> None:
        vcenter = simulate(inventory=items, denied=["VApp.Import"])
        assert sorted(problems(driver_for(vcenter, **KEYS))) == [
            "the vCenter account lacks on /DC0/host/DC0_C0/Resources: VApp.Import",
            "the vCenter account lacks on /DC0/vm/k8s: VApp.Import",
        ]
        assert only(driver_for(vcenter, template="kube", bake_from="ubuntu")).source == "/DC0/vm/ubuntu"
