"""Tags of the site's own: attached to machines that are made, in few calls, and told before where they are not there."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers.simulator import Category, Inventory, Simulator

from kube_provision_core import Boot, Cluster, Node, Role, TargetError, Vm
from kube_provision_vsphere.client import session, tags
from kube_provision_vsphere.client.tags import read_categories
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]
Make = Callable[..., list[Vm]]
Check = Callable[..., list[str]]

ATTACH, DETACH = (f"TagAssociation.{name}_multiple_objects" for name in ("attach_tag_to", "detach_tag_from"))
TAGS = {"environment": "production", "backup": ["daily", "off site"]}
CATEGORIES = (
    Category("environment", ["production", "test"], single=True, types=["VirtualMachine", "Folder"]),
    Category("backup", ["daily", "weekly", "off site"]),
    Category("racks", ["a", "b"], types=["HostSystem"]),
)


@pytest.fixture
def vcenter(simulate: Callable[..., Simulator]) -> Simulator:
    return simulate(inventory=Inventory(tags=CATEGORIES))


@pytest.fixture
def make(node: MakeNode, boot: MakeBoot) -> Make:
    def run(driver: Vsphere, masters: int, workers: int) -> list[Vm]:
        nodes = [node(index, Role.MASTER) for index in range(1, masters + 1)]
        nodes += [node(index) for index in range(1, workers + 1)]
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda one: driver.provision_vm(one, boot(one)), nodes))

    return run


@pytest.fixture
def check(driver_for: MakeDriver, node: MakeNode, boot: MakeBoot) -> Check:
    return lambda vcenter, **keys: list(driver_for(vcenter, **keys).preflight([(node(1), boot(node(1)))]))


def calls(vcenter: Simulator) -> dict[str, int]:
    """Of the REST API."""
    return {method: count for method, count in vcenter.counts().items() if "." in method}


def test_machines_get_the_tags_of_their_role(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster
) -> None:
    driver = driver_for(vcenter, vm_tags=TAGS, roles={Role.MASTER: {"vm_tags": {"environment": "test"}}})
    driver.arrange_vms(cluster, make(driver, 1, 2))
    assert vcenter.vm("m-prod-1")["tags"] == ["environment/test"]
    both = [vcenter.vm(f"w-prod-{index}")["tags"] for index in (1, 2)]
    assert both == [["backup/daily", "backup/off site", "environment/production"]] * 2


def test_a_run_learns_the_tags_once_and_attaches_each_to_all_machines_in_one_call(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster, node: MakeNode, boot: MakeBoot
) -> None:
    driver = driver_for(vcenter, vm_tags=TAGS)
    assert list(driver.preflight([(node(1), boot(node(1)))])) == []
    vms = make(driver, 3, 5)
    driver.arrange_vms(cluster, vms)
    known = {
        "Session.create": 1,
        "Category.list": 1,
        "Category.get": 3,
        "Tag.list_tags_for_category": 2,
        "Tag.get": 5,
        "TagAssociation.list_attached_tags_on_objects": 1,
    }
    assert calls(vcenter) == known | {ATTACH: 3}
    driver.arrange_vms(cluster, vms)
    assert calls(vcenter) == known | {ATTACH: 3, "TagAssociation.list_attached_tags_on_objects": 2}


def test_many_machines_share_calls(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "MOST", 4)
    driver = driver_for(vcenter, vm_tags={"backup": "daily"})
    driver.arrange_vms(cluster, make(driver, 0, 9))
    assert calls(vcenter)[ATTACH] == calls(vcenter)["TagAssociation.list_attached_tags_on_objects"] == 3
    assert all(vcenter.vm(f"w-prod-{index}")["tags"] == ["backup/daily"] for index in range(1, 10))


def test_without_tags_nobody_asks_for_them(
    vcenter: Simulator, driver: Vsphere, make: Make, cluster: Cluster, node: MakeNode, boot: MakeBoot
) -> None:
    driver.preflight([(node(1), boot(node(1)))])
    driver.arrange_vms(cluster, make(driver, 0, 1))
    assert calls(vcenter) == {}


def test_what_a_run_left_undone_the_next_one_does(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster
) -> None:
    broken = driver_for(vcenter, vm_tags=TAGS)
    vms = make(broken, 0, 2)
    vcenter.fail(ATTACH, fault="SystemError", message="the tagging service is not itself", times=1)
    with pytest.raises(TargetError, match=r"attach tag environment/production: the tagging service is not itself \(int"):
        broken.arrange_vms(cluster, vms)
    again = driver_for(vcenter, vm_tags=TAGS)
    again.arrange_vms(cluster, list(again.list_vms(cluster)))
    assert [len(vcenter.vm(f"w-prod-{index}")["tags"]) for index in (1, 2)] == [3, 3]


def test_a_changed_tag_takes_the_place_of_the_only_one_and_stands_beside_others(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster
) -> None:
    driver = driver_for(vcenter, vm_tags={"environment": "test", "backup": "daily"})
    vms = make(driver, 0, 2)
    driver.arrange_vms(cluster, vms)
    driver_for(vcenter, vm_tags={"environment": "production", "backup": "weekly"}).arrange_vms(cluster, vms)
    assert vcenter.vm("w-prod-2")["tags"] == ["backup/daily", "backup/weekly", "environment/production"]
    assert calls(vcenter)[DETACH] == 1


def test_a_machine_takes_its_tags_along(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster, node: MakeNode, boot: MakeBoot
) -> None:
    driver = driver_for(vcenter, vm_tags=TAGS)
    (vm,) = make(driver, 0, 1)
    driver.arrange_vms(cluster, [vm])
    driver.destroy_vm(vm)
    assert vcenter.machine_names() == []
    (vm,) = make(driver, 0, 1)
    assert vcenter.vm("w-prod-1")["tags"] == []


def test_what_is_not_there_is_told_with_what_is(vcenter: Simulator, check: Check) -> None:
    assert check(vcenter, vm_tags=TAGS) == []
    assert check(vcenter, vm_tags={"enviroment": "test", "backup": ["dayly", "weekly"]}) == [
        "vm_tags: there is no category 'enviroment', or the account may not see it; vCenter has: environment, backup, racks",
        "vm_tags: category 'backup' has no tag 'dayly', or the account may not see it; it has: daily, off site, weekly",
    ]
    assert check(vcenter, vm_tags={"racks": "a", "environment": ["test", "production"]}) == [
        "vm_tags: tags of category 'racks' are not for virtual machines",
        "vm_tags: a machine bears one tag of category 'environment' at most, not test and production",
    ]


def test_several_categories_of_one_name_are_refused(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(inventory=Inventory(tags=[*CATEGORIES, Category("backup", ["hourly"])]))
    (line,) = check(vcenter, vm_tags=TAGS)
    an_id = r"backup \(urn:[^ ,]+\)"
    assert re.fullmatch(
        rf"vm_tags: 'backup' names more than one category: {an_id}, {an_id}; rename all but one of them", line
    )
    assert check(vcenter, vm_tags={"environment": "test"}) == []


def test_of_many_tags_some_are_named(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(inventory=Inventory(tags=[Category("owner", [f"team-{n}" for n in range(30)]), Category("empty")]))
    (line,) = check(vcenter, vm_tags={"owner": "team-a"})
    assert line.count("team-") == 11
    assert line.endswith(" and 20 more")
    (line,) = check(vcenter, vm_tags={"empty": "a"})
    assert line.endswith("it has: none")


def test_a_tag_that_is_missing_is_told_with_the_roles_that_want_it(
    vcenter: Simulator, driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    driver = driver_for(vcenter, roles={Role.WORKER: {"vm_tags": {"backup": "hourly"}}})
    nodes = [node(1), node(1, Role.MASTER)]
    (line,) = driver.preflight([(one, boot(one)) for one in nodes])
    assert line.endswith("daily, off site, weekly (for: worker)")
    assert list(driver.preflight([(nodes[1], boot(nodes[1]))])) == []


def test_machines_must_be_free_to_be_tagged(simulate: Callable[..., Simulator], check: Check) -> None:
    vcenter = simulate(inventory=Inventory(tags=CATEGORIES), denied=["InventoryService.Tagging.ObjectAttachable"])
    assert check(vcenter) == []
    assert check(vcenter, vm_tags=TAGS) == [
        "the vCenter account lacks on /DC0/vm/k8s: InventoryService.Tagging.ObjectAttachable"
    ]


@pytest.mark.parametrize("privilege", ["InventoryService.Tagging.AttachTag", "InventoryService.Tagging.ObjectAttachable"])
def test_a_missing_privilege_is_named_when_it_is_needed(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, make: Make, cluster: Cluster, privilege: str
) -> None:
    vcenter = simulate(inventory=Inventory(tags=CATEGORIES), denied=[privilege])
    driver = driver_for(vcenter, vm_tags=TAGS)
    with pytest.raises(TargetError, match=f"^attach tag environment/production: No privilege {privilege}"):
        driver.arrange_vms(cluster, make(driver, 0, 1))


# --- the session of the REST API ---------------------------------------------------------------------------------------


@pytest.fixture
def tagging(vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster) -> Callable[[], None]:
    """A function that tags a machine."""

    def run() -> None:
        driver = driver_for(vcenter, vm_tags=TAGS)
        driver.arrange_vms(cluster, make(driver, 0, 1))

    return run


def test_it_ends_with_the_run(vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster) -> None:
    driver = driver_for(vcenter, vm_tags=TAGS)
    driver.arrange_vms(cluster, make(driver, 0, 1))
    assert vcenter.sessions() == 2
    driver.close()
    assert vcenter.sessions() == 0
    with pytest.raises(TargetError, match="the run is over"):
        read_categories(driver._target.vcenter.rest, [])


def test_it_is_left_to_a_server_that_is_gone(
    vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster
) -> None:
    driver = driver_for(vcenter, vm_tags=TAGS)
    assert driver._target.tags(Role.WORKER)
    vcenter.kill()
    driver.close()


def test_it_is_renewed_when_it_has_expired(vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster) -> None:
    driver = driver_for(vcenter, vm_tags=TAGS)
    vms = make(driver, 0, 1)
    assert driver._target.tags(Role.WORKER)
    vcenter.expire_sessions()
    driver.arrange_vms(cluster, vms)
    assert calls(vcenter)["Session.create"] == 2
    assert len(vcenter.vm("w-prod-1")["tags"]) == 3


def test_a_refused_login_is_never_repeated(vcenter: Simulator, driver_for: MakeDriver, make: Make, cluster: Cluster) -> None:
    driver = driver_for(vcenter, vm_tags=TAGS)
    vms = make(driver, 0, 1)
    vcenter.fail("Session.create", fault="InvalidLogin")
    for _ in range(2):
        with pytest.raises(TargetError, match=f"^log in to the REST API of {vcenter.address}: vCenter refuses") as caught:
            driver.arrange_vms(cluster, vms)
        assert not caught.value.retryable
    assert calls(vcenter) == {"Session.create": 1}


def test_a_pinned_certificate_may_be_for_other_names(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, make: Make, cluster: Cluster
) -> None:
    vcenter = simulate(inventory=Inventory(tags=CATEGORIES), listen="127.0.0.2:0")
    driver = driver_for(vcenter, vm_tags=TAGS, vcenter_ca_file=None, vcenter_thumbprint=vcenter.thumbprint)
    driver.arrange_vms(cluster, make(driver, 0, 1))
    assert len(vcenter.vm("w-prod-1")["tags"]) == 3


@pytest.mark.parametrize("method", ["Session.create", "Category.get", ATTACH])
@pytest.mark.parametrize("kind", ["503", "reset", "lost", "garbage", "nothing"])
def test_a_call_that_gets_lost_is_made_again(
    vcenter: Simulator, tagging: Callable[[], None], kind: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SILENCE_PAUSE", 0.01)
    vcenter.trouble(kind, method)
    tagging()
    assert len(vcenter.vm("w-prod-1")["tags"]) == 3


def test_a_silence_that_lasts_fails(
    vcenter: Simulator, tagging: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SILENCE", 0.1)
    monkeypatch.setattr(session, "SILENCE_PAUSE", 0.05)
    vcenter.trouble("503", "Category.list", times=0)
    with pytest.raises(TargetError, match=f"^read tags: no answer from vCenter {vcenter.address}: it answers 503$"):
        tagging()


def test_the_password_and_the_session_are_told_nowhere(
    vcenter: Simulator, tagging: Callable[[], None], driver_for: MakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tagging()
    driver = driver_for(vcenter, vm_tags=TAGS)
    driver._target.tags(Role.WORKER)
    rest = driver._target.vcenter.rest
    told = caplog.text + repr(driver._target.vcenter.__dict__) + repr(driver._config)
    assert rest._key
    for secret in (vcenter.password, rest._credentials, rest._credentials.split()[1], rest._key):
        assert secret not in told
