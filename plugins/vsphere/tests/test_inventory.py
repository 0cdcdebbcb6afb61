"""How names of the configuration are resolved."""

from __future__ import annotations

import pytest

from kube_provision_core import ConfigError
from kube_provision_vsphere.inventory import Inventory, Item, Wanted, natural, unescape

ITEMS = [
    Item("Folder", "europe", "europe"),
    Item("Datacenter", "dc", "DC0", "europe"),
    Item("Folder", "vm", "vm", "dc"),
    Item("Folder", "network", "network", "dc"),
    Item("Folder", "prod", "prod", "vm"),
    Item("Folder", "prod-k8s", "k8s", "prod"),
    Item("Folder", "old", "old", "vm"),
    Item("Folder", "old-prod", "prod", "old"),
    Item("Folder", "old-prod-k8s", "k8s", "old-prod"),
    Item("Folder", "lab", "lab", "vm"),
    Item("Network", "net", "VLAN 10/20", "network"),
    Item("Folder", "net-prod", "Prod", "network"),
    Item("Network", "net-prod-7", "7", "net-prod"),
    Item("Network", "net-slash-7", "Prod/7", "network"),
    Item("DistributedVirtualSwitch", "sw-a", "Switch A", "network"),
    Item("DistributedVirtualSwitch", "sw-b", "Switch B", "network"),
    Item("DistributedVirtualPortgroup", "pg-a", "web", "network", switch="sw-a"),
    Item("DistributedVirtualPortgroup", "pg-b", "web", "network", switch="sw-b"),
    Item("Folder", "slash", "image-9/lab", "vm"),
    Item("VirtualMachine", "ts", "lab/image-8", "slash", template=True),
    Item("VirtualMachine", "t9", "image-9", "lab", template=True),
    Item("VirtualMachine", "t10", "image-10", "lab", template=True),
]
FOLDER = Wanted("folder", "folder", ("Folder",), below="vm")
NETWORK = Wanted("network", "network", ("Network", "DistributedVirtualPortgroup"))
STANDARD = Wanted("network", "network", ("Network",), accept=lambda item: item.id == "net")
TEMPLATE = Wanted("template", "template", ("VirtualMachine",), accept=lambda item: item.template)


@pytest.fixture
def inventory() -> Inventory:
    return Inventory(ITEMS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lab", "lab"),
        ("/europe/DC0/vm/old/prod/k8s", "old-prod-k8s"),
        ("old/prod", "old-prod"),
        ("prod/k8s", "prod-k8s"),  # below the top folder: before the one that merely ends so
        ("prod", "prod"),
        ("/prod/", "prod"),
    ],
)
def test_a_path_names_one_object(inventory: Inventory, text: str, found: str) -> None:
    assert inventory.find(FOLDER, text).id == found


def test_ambiguity_is_refused_with_full_paths(inventory: Inventory) -> None:
    with pytest.raises(ConfigError) as caught:
        inventory.find(FOLDER, "k8s")
    assert str(caught.value) == (
        "folder: 'k8s' names more than one folder: /europe/DC0/vm/old/prod/k8s, /europe/DC0/vm/prod/k8s; "
        "write the full path of the one that you mean"
    )


def test_an_unknown_name_is_told_with_the_nearest(inventory: Inventory) -> None:
    with pytest.raises(ConfigError, match="no template 'imag-9', or the account may not see it; did you mean 'image-9' or"):
        inventory.find(TEMPLATE, "imag-9")


def test_top_folders_of_other_kinds_are_no_folders_of_machines(inventory: Inventory) -> None:
    with pytest.raises(ConfigError):
        inventory.find(FOLDER, "network")


def test_a_name_with_a_slash_is_found_by_name_and_by_path(inventory: Inventory) -> None:
    assert inventory.find(NETWORK, "VLAN 10/20").id == "net"
    assert inventory.find(NETWORK, "/europe/DC0/network/VLAN 10/20").id == "net"
    assert inventory.path("net") == "/europe/DC0/network/VLAN 10%2f20"
    assert inventory.find(NETWORK, inventory.path("net")).id == "net"


def test_a_part_of_a_name_is_no_name(inventory: Inventory) -> None:
    assert inventory.matches(NETWORK, "20") == []
    assert inventory.find(NETWORK, "7").id == "net-prod-7"
    assert inventory.matches(TEMPLATE, "image-8") == []
    assert inventory.pattern_matches(TEMPLATE, "image-8*") == []
    assert inventory.matches(FOLDER, "lab") != inventory.matches(FOLDER, "image-9/lab")


def test_what_a_slash_means_is_asked_where_it_may_mean_two_things(inventory: Inventory) -> None:
    assert {item.id for item in inventory.matches(NETWORK, "Prod/7")} == {"net-prod-7", "net-slash-7"}
    assert inventory.find(NETWORK, "Prod%2F7").id == "net-slash-7"
    assert inventory.find(NETWORK, "/europe/DC0/network/Prod%2f7").id == "net-slash-7"


@pytest.mark.parametrize(("text", "found"), [("Switch A/web", "pg-a"), ("Switch B/web", "pg-b"), ("pg-b", "pg-b")])
def test_port_groups_of_one_name_are_told_apart_by_switch_and_by_id(inventory: Inventory, text: str, found: str) -> None:
    assert inventory.find(NETWORK, text).id == found


def test_objects_of_one_path_are_told_with_what_tells_them_apart(inventory: Inventory) -> None:
    with pytest.raises(ConfigError) as caught:
        inventory.find(NETWORK, "web")
    assert str(caught.value) == (
        "network: 'web' names more than one network: Switch A/web (pg-a), Switch B/web (pg-b); "
        "write the id, in brackets, of the one that you mean"
    )


@pytest.mark.parametrize(("pattern", "found"), [("image-*", {"t9", "t10"}), ("lab/image-?", {"t9"}), ("old/*", set())])
def test_patterns_match_names_and_paths(inventory: Inventory, pattern: str, found: set[str]) -> None:
    assert {item.id for item in inventory.pattern_matches(TEMPLATE, pattern)} == found


def test_the_only_one_need_not_be_named(inventory: Inventory) -> None:
    assert inventory.only(STANDARD).id == "net"


def test_several_must_be_named(inventory: Inventory) -> None:
    with pytest.raises(ConfigError, match=r"template: not set, and there is more than one template; name one of: .*"):
        inventory.only(TEMPLATE)


def test_names_are_unescaped() -> None:
    assert unescape("VLAN 10%2f20 100%25 %41") == "VLAN 10/20 100% %41"


def test_numbers_in_names_sort_as_numbers() -> None:
    assert sorted(["image-10", "image-9", "image-b"], key=natural) == ["image-9", "image-10", "image-b"]
