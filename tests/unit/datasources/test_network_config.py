"""What a machine with cards in networks is told of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kube_provision_core import BootError, NetworkCard, network_config

MAC = "00:50:56:00:00:0c"


def card(**keys: object) -> NetworkCard:
    return NetworkCard.model_validate({"name": "lan", "role": "node", **keys})


@pytest.mark.parametrize(
    ("keys", "servers", "told"),
    [
        ({}, [], {"dhcp4": True}),
        (
            {},
            ["10.0.0.53"],
            {"dhcp4": True, "dhcp4-overrides": {"use-dns": False}, "nameservers": {"addresses": ["10.0.0.53"]}},
        ),
        ({"dns_search": ["a.example"]}, [], {"dhcp4": True, "nameservers": {"search": ["a.example"]}}),
        (
            {"role": "storage"},
            [],
            {"dhcp4": True, "dhcp4-overrides": {"use-dns": False, "use-routes": False}, "accept-ra": False},
        ),
        (
            {"role": "none", "mtu": 9000},
            [],
            {"dhcp4": False, "link-local": [], "optional": True, "accept-ra": False, "mtu": 9000},
        ),
        (
            {
                "static_ip": {
                    "addresses": ["10.0.0.11/24", "10.0.0.12/24"],
                    "ipv6_addresses": ["fd00::11/64", "fd00::12/64"],
                    "ipv6_gateway": "fe80::1",
                },
            },
            [],
            {
                "dhcp4": False,
                "addresses": ["10.0.0.12/24", "fd00::12/64"],
                "accept-ra": False,
                "gateway6": "fe80::1",
            },
        ),
        (
            {
                "static_ip": {"addresses": ["10.0.0.11/24", "10.0.0.12/24"], "gateway": "10.0.0.1"},
                "routes": [{"to": "10.8.0.0/16", "via": "10.0.0.2"}],
            },
            [],
            {
                "dhcp4": False,
                "addresses": ["10.0.0.12/24"],
                "routes": [{"to": "0.0.0.0/0", "via": "10.0.0.1"}, {"to": "10.8.0.0/16", "via": "10.0.0.2"}],
            },
        ),
    ],
)
def test_a_machine_is_told_what_is_written(keys: dict[str, object], servers: Sequence[str], told: dict[str, object]) -> None:
    known = {"match": {"macaddress": MAC}, "set-name": "eth1"}
    both = network_config([(card(role="none"), None), (card(**keys), MAC)], 2, servers)
    assert both == {"version": 2, "ethernets": {"eth1": known | told}}


def test_no_machine_is_told_of_an_address_that_there_is_not() -> None:
    static = {"addresses": ["10.0.0.11/24", "10.0.0.12/24"]}
    with pytest.raises(BootError, match=r"^network lan: static_ip has no address for the machine with index 3$"):
        network_config([(card(static_ip=static), MAC)], 3)
    with pytest.raises(BootError, match=r"^network lan: static_ip has no address for the machine with index 2$"):
        network_config([(card(static_ip=static | {"ipv6_addresses": ["fd00::11/64"]}), MAC)], 2)


def test_name_servers_are_those_of_the_nodes_network_alone() -> None:
    cards = [(card(), MAC), (card(name="files", role="storage"), "00:50:56:00:00:0d")]
    told = network_config(cards, 1, ["10.0.0.53"])["ethernets"]
    assert ["nameservers" in each for each in told.values()] == [True, False]


def test_a_machine_whose_cards_nobody_knows_is_told_nothing() -> None:
    assert network_config([(card(), None)], 1) == {}
