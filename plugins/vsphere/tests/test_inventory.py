"""How names of the configuration are resolved."""

from __future__ import annotations

import pytest

from kube_provision_core import ConfigError
from kube_provision_vsphere.inventory import Inventory, Item, natural, unescape, wanted

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
    Item("VirtualMachine", "t9", "image-9", "lab", template=True),
    Item("VirtualMachine", "t10", "image-10", "lab", template=True),
]
FOLDER = wanted("folder", "folder", "Folder", below="vm")
NETWORK = wanted("network", "network", "Network")
TEMPLATE = wanted("template", "template", "VirtualMachine", accept=lambda item: item.template)


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


@pytest.mark.parametrize(("pattern", "found"), [("image-*", {"t9", "t10"}), ("lab/image-?", {"t9"}), ("old/*", set())])
def test_patterns_match_names_and_paths(inventory: Inventory, pattern: str, found: set[str]) -> None:
    assert {item.id for item in inventory.pattern_matches(TEMPLATE, pattern)} == found


def test_the_only_one_need_not_be_named(inventory: Inventory) -> None:
    assert inventory.only(NETWORK).id == "net"


def test_several_must_be_named(inventory: Inventory) -> None:
    with pytest.raises(ConfigError, match=r"template: not set, and there is more than one template; name one of: .*"):
        inventory.only(TEMPLATE)


def test_names_are_unescaped() -> None:
    assert unescape("VLAN 10%2f20 100%25 %41") == "VLAN 10/20 100% %41"


def test_numbers_in_names_sort_as_numbers() -> None:
    assert sorted(["image-10", "image-9", "image-b"], key=natural) == ["image-9", "image-10", "image-b"]
