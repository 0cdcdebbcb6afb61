"""Templates: baked by a clone of their source, exchanged when they are good, and never somebody else's."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from servers.simulator import STATUS_KEY, Guest, Inventory, Machine, Simulator
from servers.simulator import Template as SimulatedTemplate

from kube_provision_core import Baked, Boot, ConfigError, Image, Role, TargetError, Template
from kube_provision_core import Machine as Size
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeDriver = Callable[..., Vsphere]
Simulate = Callable[..., Simulator]

ROLES = frozenset(Role)
SPEC = "aaaabbbbcccc"
IMAGE = Image(SPEC, Boot(f"bake-{SPEC}", f"bake-{SPEC}", "#cloud-config\n# bakes\n"), "", Size(2, 4))
BAKED = Baked(SPEC, "2026-11-27T10:00:00Z", "Ubuntu 24.04", {"kubeadm": "1.36.4-1.1"}, ("registry.k8s.io/pause:3.10",))
KEYS = {"template": "kube", "bake_from": "ubuntu"}


def only(driver: Vsphere) -> Template:
    (template,) = driver.list_templates(ROLES)
    return template


def guest_is_done(vcenter: Simulator, baked: Baked = BAKED, name: str = "kube.baking") -> None:
    """What the script publishes at its end."""
    status = {"stage": "finish", "state": "done", "error": "", "baked": baked.document}
    vcenter.publish(name, {STATUS_KEY: json.dumps(status)})


def bake(vcenter: Simulator, driver: Vsphere, image: Image = IMAGE, baked: Baked = BAKED) -> None:
    driver.bake_image(only(driver), image)
    guest_is_done(vcenter, baked)
    driver.finish_image(only(driver))


@pytest.fixture
def driver(vcenter: Simulator, driver_for: MakeDriver) -> Vsphere:
    return driver_for(vcenter, **KEYS)


def test_a_template_that_does_not_exist_is_known_with_its_source(driver: Vsphere) -> None:
    assert only(driver) == Template("kube", ROLES, source="/DC0/vm/ubuntu", where="/DC0/vm/k8s/kube")


def test_nothing_is_baked_in_a_vapp(simulate: Simulate, driver_for: MakeDriver) -> None:
    """Its machines lie in no folder, where the next look would find them."""
    driver = driver_for(simulate(inventory=Inventory(vapps=["app"])), **KEYS, resource_pool="app")
    assert only(driver).hindrances == (
        "resource_pool: app is a vApp, whose machines lie in no folder, as templates do; bake in a resource pool: "
        "-e resource_pool=NAME",
    )


def test_the_source_is_cloned_into_a_machine_that_bakes(vcenter: Simulator, driver: Vsphere) -> None:
    driver.bake_image(only(driver), IMAGE)
    machine = vcenter.vm("kube.baking")
    assert (machine["path"], machine["power"], machine["template"]) == ("/DC0/vm/k8s/kube.baking", "poweredOn", False)
    assert (machine["cpu"], machine["memory_mib"]) == (2, 4096)
    userdata = gzip.decompress(base64.b64decode(machine["extra_config"]["guestinfo.userdata"])).decode()
    assert userdata == IMAGE.boot.user_data
    baking = only(driver).baking
    assert baking is not None
    assert (baking.spec, baking.running, baking.done) == (SPEC, True, False)


def test_it_is_done_when_it_says_what_it_holds(vcenter: Simulator, driver: Vsphere) -> None:
    driver.bake_image(only(driver), IMAGE)
    vcenter.publish("kube.baking", {STATUS_KEY: json.dumps({"stage": "install", "state": "running", "step": "x/packages"})})
    seen = only(driver).baking
    assert seen is not None
    assert seen.status is not None
    assert (seen.status.progress, seen.done) == ("install x/packages", False)
    guest_is_done(vcenter)
    seen = only(driver).baking
    assert seen is not None
    assert seen.done


class TestTheFinishedTemplate:
    @pytest.fixture
    def template(self, vcenter: Simulator, driver: Vsphere) -> dict[str, Any]:
        bake(vcenter, driver)
        return vcenter.vm("kube")

    def test_is_one(self, template: dict[str, Any]) -> None:
        assert (template["template"], template["power"], template["path"]) == (True, "poweredOff", "/DC0/vm/k8s/kube")

    def test_tells_people_what_is_in_it(self, template: dict[str, Any]) -> None:
        assert template["annotation"] == "kube-provision: baked 2026-11-27: kubeadm 1.36.4-1.1\nfrom /DC0/vm/ubuntu"

    def test_holds_no_boot_data_and_no_status(self, template: dict[str, Any]) -> None:
        """A clone would seem to have finished its boot before it begins."""
        assert [key for key in template["extra_config"] if key.startswith("guestinfo")] == []

    def test_is_recognised(self, template: dict[str, Any], driver: Vsphere) -> None:
        assert only(driver) == Template(
            "kube", ROLES, source="/DC0/vm/ubuntu", exists=True, baked=BAKED, where="/DC0/vm/k8s/kube"
        )

    def test_nothing_else_is_left(self, template: dict[str, Any], vcenter: Simulator) -> None:
        assert sorted(vm["name"] for vm in vcenter.vms().values()) == ["kube", "ubuntu"]

    def test_machines_are_made_from_it(
        self, template: dict[str, Any], vcenter: Simulator, driver_for: MakeDriver, node: Any, boot: Any
    ) -> None:
        driver_for(vcenter, **KEYS).provision_vm(node(1), boot(node(1)))
        assert vcenter.vm("w-prod-1")["power"] == "poweredOn"


class TestAnEarlierTemplate:
    NEWER = replace(BAKED, spec="ddddeeeeffff", date="2026-12-01T10:00:00Z")

    def again(self, vcenter: Simulator, driver: Vsphere) -> None:
        bake(vcenter, driver, replace(IMAGE, spec=self.NEWER.spec), self.NEWER)

    def test_is_replaced(self, vcenter: Simulator, driver: Vsphere) -> None:
        bake(vcenter, driver)
        before = vcenter.vm("kube")["id"]
        self.again(vcenter, driver)
        assert only(driver).baked == self.NEWER
        assert vcenter.vm("kube")["id"] != before
        assert sorted(vm["name"] for vm in vcenter.vms().values()) == ["kube", "ubuntu"]

    def test_stays_until_the_new_one_is_good(self, vcenter: Simulator, driver: Vsphere) -> None:
        bake(vcenter, driver)
        driver.bake_image(only(driver), replace(IMAGE, spec=self.NEWER.spec))
        assert only(driver).baked == BAKED
        vcenter.fail("MarkAsTemplate", "kube.baking", "InvalidState")
        guest_is_done(vcenter, self.NEWER)
        with pytest.raises(TargetError):
            driver.finish_image(only(driver))
        assert only(driver).baked == BAKED

    def test_of_linked_clones_is_kept(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        driver = driver_for(vcenter, **KEYS, linked_clone=True)
        bake(vcenter, driver)
        self.again(vcenter, driver)
        names = sorted(vm["name"] for vm in vcenter.vms().values())
        assert names == ["kube", "kube.20261127T100000Z", "ubuntu"]

    @pytest.mark.parametrize(
        ("method", "name"),
        [
            ("ReconfigVM_Task", "kube.baking"),
            ("MarkAsTemplate", "kube.baking"),
            ("Rename_Task", "kube"),
            ("Rename_Task", "kube.baking"),
        ],
    )
    def test_is_replaced_by_the_next_run_where_one_was_killed(
        self, vcenter: Simulator, driver: Vsphere, driver_for: MakeDriver, method: str, name: str
    ) -> None:
        bake(vcenter, driver)
        driver.bake_image(only(driver), replace(IMAGE, spec=self.NEWER.spec))
        guest_is_done(vcenter, self.NEWER)
        vcenter.fail(method, name, "SystemError", times=1)
        with pytest.raises(TargetError):
            driver.finish_image(only(driver))
        later = driver_for(vcenter, **KEYS)
        found = only(later)
        assert found.baking is not None
        assert found.baking.done
        later.finish_image(found)
        assert only(later).baked == self.NEWER
        assert only(later).baking is None
        assert sorted(vm["name"] for vm in vcenter.vms().values()) == ["kube", "ubuntu"]


def test_a_guest_that_does_not_shut_down_is_powered_off(vcenter: Simulator, driver: Vsphere) -> None:
    vcenter.fail("ShutdownGuest", "kube.baking", "ToolsUnavailable")
    bake(vcenter, driver)
    assert only(driver).baked == BAKED


def test_linked_clones_find_a_snapshot(vcenter: Simulator, driver_for: MakeDriver, node: Any, boot: Any) -> None:
    bake(vcenter, driver_for(vcenter, **KEYS, linked_clone=True))
    driver_for(vcenter, **KEYS, linked_clone=True).provision_vm(node(1), boot(node(1)))
    assert [disk["linked"] for disk in vcenter.vm("w-prod-1")["disks"]] == [True]


class TestWhatAnEarlierRunHasLeft:
    def test_is_replaced(self, vcenter: Simulator, driver: Vsphere) -> None:
        driver.bake_image(only(driver), replace(IMAGE, spec="000011112222"))
        driver.bake_image(only(driver), IMAGE)
        baking = only(driver).baking
        assert baking is not None
        assert baking.spec == SPEC
        assert vcenter.machine_names() == ["kube.baking"]


class TestSomebodyElses:
    def test_template_is_left_alone(self, simulate: Simulate, driver_for: MakeDriver) -> None:
        vcenter = simulate(templates=[SimulatedTemplate("ubuntu"), SimulatedTemplate("k8s/kube")])
        driver = driver_for(vcenter, **KEYS)
        assert (only(driver).exists, only(driver).baked) == (True, None)
        driver.bake_image(only(driver), IMAGE)
        guest_is_done(vcenter)
        with pytest.raises(TargetError, match=r"^/DC0/vm/k8s/kube: was not made by bake; it is left alone"):
            driver.finish_image(only(driver))
        assert vcenter.vm("kube")["template"]

    def test_machine_of_that_name_is_no_template(self, simulate: Simulate, driver_for: MakeDriver) -> None:
        vcenter = simulate(machines=[Machine("k8s/kube", extra_config={"kube-provision.baked": json.dumps(BAKED.document)})])
        driver = driver_for(vcenter, **KEYS)
        assert (only(driver).exists, only(driver).baked) == (True, None)
        driver.bake_image(only(driver), IMAGE)
        guest_is_done(vcenter)
        with pytest.raises(TargetError, match="was not made by bake; it is left alone"):
            driver.finish_image(only(driver))

    def test_machine_in_the_way_is_left_alone(self, simulate: Simulate, driver_for: MakeDriver) -> None:
        vcenter = simulate(machines=[Machine("k8s/kube.baking")])
        driver = driver_for(vcenter, **KEYS)
        assert only(driver).baking is None
        with pytest.raises(TargetError, match=r"^/DC0/vm/k8s/kube\.baking: this machine was not made by bake"):
            driver.bake_image(only(driver), IMAGE)
        assert vcenter.machine_names() == ["kube.baking"]

    @pytest.fixture
    def elsewhere(self, simulate: Simulate, driver_for: MakeDriver) -> tuple[Simulator, Vsphere]:
        """A machine bakes, and somebody makes a copy of it under the name that another template's machine needs."""
        vcenter = simulate(folders=["k8s", "other"])
        driver = driver_for(vcenter, template="k8s/kube", bake_from="ubuntu")
        driver.bake_image(only(driver), IMAGE)
        guest_is_done(vcenter)
        vcenter.copy("kube.baking", "other/kube.baking")
        return vcenter, driver_for(vcenter, template="other/kube", bake_from="ubuntu")

    def test_copy_of_a_machine_that_bakes_is_left_alone(self, elsewhere: tuple[Simulator, Vsphere]) -> None:
        vcenter, driver = elsewhere
        assert vcenter.vms()["/DC0/vm/other/kube.baking"]["annotation"] == "kube-provision: becomes the template kube"
        assert only(driver).baking is None
        with pytest.raises(TargetError, match=r"^/DC0/vm/other/kube\.baking: this machine was not made by bake"):
            driver.bake_image(only(driver), IMAGE)
        with pytest.raises(TargetError, match=r"^/DC0/vm/other/kube\.baking: the machine that has baked is gone"):
            driver.finish_image(only(driver))
        assert not vcenter.vms()["/DC0/vm/other/kube.baking"]["template"]

    def test_copy_of_the_template_does_not_take_its_place(self, vcenter: Simulator, driver: Vsphere) -> None:
        """It inherits the record of what is in it."""
        bake(vcenter, driver)
        vcenter.copy("kube", "k8s/kube.baking")
        assert only(driver).baking is None
        with pytest.raises(TargetError, match="was not made by bake"):
            driver.bake_image(only(driver), IMAGE)
        assert vcenter.machine_names() == ["kube.baking"]


class TestWhatTheSourceRemembers:
    def test_is_forgotten(self, simulate: Simulate, driver_for: MakeDriver) -> None:
        """A source that once was a node would make its clone another cluster's machine, and finished."""
        past = {"kube-provision.stamp": "{}", STATUS_KEY: '{"stage": "finish", "state": "done"}'}
        vcenter = simulate(machines=[Machine("former-node", extra_config=past)])
        driver = driver_for(vcenter, template="kube", bake_from="former-node")
        driver.bake_image(only(driver), IMAGE)
        keys = vcenter.vm("kube.baking")["extra_config"].keys()
        assert not keys & {*past, "kube-provision.baked"}


class TestPlaces:
    def test_a_path_names_the_folder(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        for text in ("k8s/kube", "/DC0/vm/k8s/kube"):
            assert only(driver_for(vcenter, template=text, bake_from="ubuntu", folder=None)).where == "/DC0/vm/k8s/kube"

    def test_without_folders_it_is_the_datacenters(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        assert only(driver_for(vcenter, template="kube", bake_from="ubuntu", folder=None)).where == "/DC0/vm/kube"

    def test_a_template_that_exists_stays_where_it_is(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        bake(vcenter, driver_for(vcenter, template="k8s/kube", bake_from="ubuntu"))
        assert only(driver_for(vcenter, template="kube", bake_from="ubuntu", folder=None)).where == "/DC0/vm/k8s/kube"

    def test_each_template_is_listed_once_with_its_roles(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        driver = driver_for(vcenter, {Role.DISCOVERY: {"template": "servers"}}, **KEYS)
        found = {template.name: template.roles for template in driver.list_templates(ROLES)}
        assert found == {"kube": {Role.MASTER, Role.WORKER}, "servers": {Role.DISCOVERY}}


STATIC = {"addresses": ["10.0.0.11/24"], "gateway": "10.0.0.1"}


class TestAddresses:
    def test_are_leased_where_nothing_is_said(self, vcenter: Simulator, driver: Vsphere) -> None:
        driver.bake_image(only(driver), IMAGE)
        assert "network" not in metadata(vcenter)

    def test_are_the_machines_own_where_machines_have_fixed_ones(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        driver = driver_for(vcenter, **KEYS, static_ip=STATIC, bake_ip="10.0.0.99/24")
        driver.bake_image(only(driver), IMAGE)
        card = metadata(vcenter)["network"]["ethernets"]["eth0"]
        assert card["addresses"] == ["10.0.0.99/24"]
        assert card["routes"] == [{"to": "0.0.0.0/0", "via": "10.0.0.1"}]

    def test_the_templates_card_loses_the_address_that_baking_needed(
        self, vcenter: Simulator, driver_for: MakeDriver, node: Any, boot: Any
    ) -> None:
        keys = {**KEYS, "static_ip": STATIC, "bake_ip": "10.0.0.99/24"}
        driver = driver_for(vcenter, **keys)
        driver.bake_image(only(driver), IMAGE)
        assert vcenter.vm("kube.baking")["cards"] == [{"mac_address": "00:50:56:00:00:63", "manual": True}]
        guest_is_done(vcenter)
        driver.finish_image(only(driver))
        assert [card["manual"] for card in vcenter.vm("kube")["cards"]] == [False]
        driver_for(vcenter, **keys).provision_vm(node(1), boot(node(1)))
        assert vcenter.vm("w-prod-1")["cards"] == [{"mac_address": "00:50:56:00:00:0b", "manual": True}]

    def test_differ_between_all_that_bake(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        driver = driver_for(vcenter, **KEYS, dns_servers=["10.0.0.53"])
        seen = []
        for _ in range(2):
            driver.bake_image(only(driver), IMAGE)
            seen.append(vcenter.vm("kube.baking")["cards"][0])
        assert all(card["manual"] for card in seen)
        assert seen[0] != seen[1]

    def test_that_are_missing_are_asked_for(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        assert problems(driver_for(vcenter, **KEYS, static_ip=STATIC)) == [
            "bake_ip: machines have fixed addresses (static_ip), so the one that bakes needs one: bake_ip: ADDRESS/LENGTH"
        ]


class TestBadInput:
    def test_a_source_that_does_not_exist(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        (line,) = problems(driver_for(vcenter, template="kube", bake_from="ubunto"))
        assert line.startswith("bake_from: there is no template 'ubunto'")
        assert "did you mean 'ubuntu'" in line

    def test_a_source_that_runs(self, simulate: Simulate, driver_for: MakeDriver) -> None:
        vcenter = simulate(machines=[Machine("golden", power_on=True)])
        assert problems(driver_for(vcenter, template="kube", bake_from="golden")) == [
            "bake_from: /DC0/vm/golden is a running machine; shut it down and convert it to a template"
        ]

    def test_a_pattern_where_a_name_is_needed(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        assert problems(driver_for(vcenter, template="kube-*", bake_from="ubuntu")) == [
            "template: 'kube-*' is a pattern, and bake makes one template: write its name"
        ]

    def test_of_a_pattern_of_sources_the_newest_is_taken(self, simulate: Simulate, driver_for: MakeDriver) -> None:
        vcenter = simulate(templates=[SimulatedTemplate("ubuntu-1"), SimulatedTemplate("ubuntu-2")])
        assert only(driver_for(vcenter, template="kube", bake_from="ubuntu-*")).source == "/DC0/vm/ubuntu-2"

    def test_without_a_source_the_template_has_none(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        assert only(driver_for(vcenter, template="kube")).source == ""

    def test_all_problems_are_told_at_once(self, vcenter: Simulator, driver_for: MakeDriver) -> None:
        driver = driver_for(vcenter, template="kube-*", bake_from="nothing", static_ip=STATIC)
        assert len(problems(driver)) == 3

    def test_missing_privileges(self, simulate: Simulate, driver_for: MakeDriver) -> None:
        vcenter = simulate(denied=["VirtualMachine.Provisioning.MarkAsTemplate"])
        assert problems(driver_for(vcenter, **KEYS)) == [
            "the vCenter account lacks on /DC0/vm/k8s: VirtualMachine.Provisioning.MarkAsTemplate"
        ]

    def test_boot_data_that_vsphere_does_not_deliver(self, vcenter: Simulator, driver: Vsphere) -> None:
        import random

        noise = random.Random(1).randbytes(80_000).hex()
        with pytest.raises(ConfigError, match="more than the 65536 that vSphere delivers"):
            driver.bake_image(only(driver), replace(IMAGE, boot=Boot("b", "b", noise)))

    def test_a_source_that_cannot_be_cloned(self, vcenter: Simulator, driver: Vsphere) -> None:
        vcenter.fail("CloneVM_Task", "kube.baking", "NoDiskSpace", fields={"Datastore": "LocalDS_0"})
        with pytest.raises(TargetError, match=r"^kube\.baking: clone: datastore LocalDS_0 is full"):
            driver.bake_image(only(driver), IMAGE)
        assert only(driver).baking is None


def metadata(vcenter: Simulator) -> Any:
    config = vcenter.vm("kube.baking")["extra_config"]
    return json.loads(gzip.decompress(base64.b64decode(config["guestinfo.metadata"])))


def problems(driver: Vsphere) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        driver.list_templates(ROLES)
    return list(refused.value.problems)


def test_looks_are_few(simulate: Simulate, driver_for: MakeDriver) -> None:
    vcenter = simulate(inventory=Inventory(), guests=[Guest()])
    driver = driver_for(vcenter, **KEYS)
    only(driver)
    vcenter.reset_counts()
    only(driver)
    assert sum(vcenter.counts().values()) <= 3
