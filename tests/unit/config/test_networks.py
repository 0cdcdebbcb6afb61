"""Networks of machines with several cards: what may be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

import kube_provision_core
from kube_provision_core import BootError, Role
from kube_provision_core.testing import cluster_of, node_of

PAGE = Path(__file__).parents[3] / "docs/writing-a-plugin.md"
FIXED = {"name": "lan", "role": "node", "static_ip": {"addresses": ["10.0.0.11/24"]}}
ON_ORBIT = "name: prod\ntarget: orbit\nos: plain\ndiscovery: beacon\n"
ORBIT = """
from kube_provision_core import DriverConfig, Networks, option
class OrbitConfig(DriverConfig):
    networks: Networks | None = option(None, per_role=True, help="Networks.")
class Orbit:
    Config = OrbitConfig
    parallel = 1
    def __init__(self, config): pass
"""
NODE = "- {name: lan, role: node}\n"
STORAGE = "- {name: san, role: storage, static_ip: {addresses: [10.9.0.11/24]}}\n"


@pytest.fixture
def _orbit(install) -> None:
    install("kpx-orbit", {"target": "orbit = kpx_orbit:Orbit"}, ORBIT)


def written(networks: str) -> str:
    """The networks stand from line 6 on."""
    return f"{ON_ORBIT}networks:\n{indent(networks, '  ')}"


@pytest.mark.usefixtures("_orbit")
class TestWriting:
    @pytest.mark.parametrize(
        "networks",
        [
            NODE,
            NODE + STORAGE,
            "- {name: pods, role: none, mtu: 9000}\n" + NODE,
            NODE
            + STORAGE.replace("}}", "}, mtu: 1280, routes: [{to: 10.8.0.0/16, via: 10.9.0.1}], dns_search: [san.example]}"),
            NODE.replace("}", ", routes: [{to: 10.0.0.0/8, via: 10.0.0.1}]}") + STORAGE,
        ],
    )
    def test_what_is_whole_is_taken(self, load_text, networks: str) -> None:
        assert load_text(written(networks))

    @pytest.mark.parametrize(
        ("networks", "line"),
        [
            ("[]\n", "5: networks: must not be empty"),
            (
                STORAGE,
                "5: networks: none of them is the nodes': give the one that machines' addresses are in role: node",
            ),
            (
                NODE + NODE.replace("lan", "wan"),
                "7: networks[1].role: lan is the nodes' network already, and there is one alone",
            ),
            (NODE + STORAGE.replace("san", "lan"), "7: networks[1].name: lan is listed twice"),
            (
                NODE + STORAGE.replace("storage", "backup"),
                "7: networks[1].role: must be one of 'node', 'storage' or 'none'",
            ),
            (NODE + "- {name: san}\n", "7: networks[1].role: is missing"),
            (NODE.replace("}", ", mtu: 1279}"), "6: networks[0].mtu: must be at least 1280"),
            (NODE.replace("}", ", mtu: 9001}"), "6: networks[0].mtu: must be at most 9000"),
            (
                NODE.replace("}", ", routes: [{to: 10.9.0.1/24, via: 10.0.0.1}]}"),
                "6: networks[0].routes[0].to: must be an IPv4 network such as 10.244.0.0/16, its host bits zero",
            ),
            (
                NODE.replace("}", ", routes: [{to: fd00::/64, via: 10.0.0.1}]}"),
                "6: networks[0].routes[0].to: is IPv6, and an IPv4 one is wanted here: see ipv6_addresses and ipv6_gateway",
            ),
            (
                NODE.replace("}", ", routes: [{to: 10.96.1.0/24, via: 10.0.0.1}]}"),
                "6: networks[0].routes[0].to: 10.96.1.0/24 lies in service_subnet 10.96.0.0/12, which is for the "
                "inside of the cluster alone: choose another address or service_subnet",
            ),
            (
                NODE.replace("}", ", routes: [{to: 0.0.0.0/0, via: 10.0.0.1}]}"),
                "6: networks[0].routes[0].to: the default route is static_ip.gateway's of the nodes' network, or DHCP's",
            ),
            (
                NODE + STORAGE.replace("}}", "}, routes: [{to: 10.8.0.0/16, via: 10.7.0.1}]}"),
                "7: networks[1].routes[0].via: 10.7.0.1 is in no network of this card's static_ip",
            ),
            *(
                (
                    NODE.replace("}", f", routes: [{{to: {to}, via: 10.0.0.1}}]}}") + STORAGE,
                    f"6: networks[0].routes[0].to: {to} lies in 10.9.0.0/24 of san, where the machine has a card: remove "
                    "the route",
                )
                for to in ("10.9.0.0/24", "10.9.0.128/25")
            ),
            (
                NODE + STORAGE.replace("]}", "], gateway: 10.9.0.1}"),
                "7: networks[1].static_ip.gateway: the default route is that of the nodes' network: write routes in "
                "its place",
            ),
            (
                NODE + STORAGE.replace("10.9.0.11/24", "'2001:db8::11/64'"),
                "7: networks[1].static_ip.addresses[0]: is IPv6, and an IPv4 one is wanted here: see "
                "ipv6_addresses and ipv6_gateway",
            ),
            *(
                (
                    NODE + STORAGE.replace("]}", f"], {more}}}"),
                    f"7: networks[1].static_ip{said}",
                )
                for more, said in {
                    "ipv6_addresses: ['10.9.0.12/24']": ".ipv6_addresses[0]: must be an IPv6 address with its network's "
                    "prefix length, such as fd00::11/64",
                    "ipv6_addresses: ['fd00::11']": ": fd00::11 needs its network's prefix length, such as fd00::11/64",
                    "ipv6_addresses: ['fd00::/64']": ": fd00::/64 is a network's own or broadcast address",
                    "ipv6_addresses: ['fe80::1/64']": ": fe80::1 is no address that a machine can be given",
                    "ipv6_addresses: ['fd00::1/64', 'fd00::1/64']": ": an address is listed twice",
                    "ipv6_gateway: 'fd00::1'": ": ipv6_gateway fd00::1 needs ipv6_addresses in its network",
                    "ipv6_addresses: ['fd00::1/64'], ipv6_gateway: 'fe80::1%eth0'": ".ipv6_gateway: must be without %eth0: "
                    "interfaces are called otherwise on other machines",
                    "ipv6_addresses: ['fd00::1%eth0/64']": ".ipv6_addresses[0]: must be without %eth0: interfaces are "
                    "called otherwise on other machines",
                    "ipv6_addresses: ['fd00::1/64'], ipv6_gateway: 'fd00::2'": ".ipv6_gateway: the default route is that of "
                    "the nodes' network: remove it",
                    "ipv6_addresses: ['fd00::1/64'], ipv6_gateway: 'fd00::1'": ": fd00::1 is both an address and the "
                    "gateway",
                    "ipv6_addresses: ['fd00::1/64'], ipv6_gateway: 'fd01::1'": ": gateway fd01::1 is not in the network of "
                    "fd00::1/64",
                }.items()
            ),
            (
                NODE + STORAGE.replace("10.9.0.11/24", "10.9.0.500/24"),
                "7: networks[1].static_ip.addresses[0]: must be an IPv4 address with its network's prefix length, "
                "such as 10.0.0.11/24",
            ),
            (
                NODE + STORAGE + STORAGE.replace("san", "backup").replace("/24", "/16"),
                "8: networks[2].static_ip: 10.9.0.0/16 overlaps 10.9.0.0/24 of san: two cards cannot be in one "
                "network, so give one another",
            ),
            *(
                (
                    NODE + f"- {{name: pods, role: none, {key}: {value}}}\n",
                    f"7: networks[1].{key}: there is no address in a network of role none: remove it, or say role: storage",
                )
                for key, value in {
                    "static_ip": "{addresses: [10.9.0.11/24]}",
                    "routes": "[{to: 10.8.0.0/16, via: 10.9.0.1}]",
                    "dns_search": "[example.com]",
                }.items()
            ),
            (
                NODE.replace("}", ", dns_search: [example..com]}"),
                "6: networks[0].dns_search[0]: must be a DNS domain, such as example.com",
            ),
            (NODE.replace("}", ", vlan: 3}"), "6: unknown key vlan in networks[0]"),
        ],
    )
    def test_what_is_wrong_is_told_at_its_line(self, complaints, networks: str, line: str) -> None:
        assert complaints(written(networks)) == [f"config.yml:{line}"]

    def test_all_of_it_at_once(self, complaints) -> None:
        lines = complaints(written(NODE + NODE + NODE.replace("node", "none").replace("}", ", dns_search: [a.example]}")))
        assert [line.partition(": ")[0] for line in lines] == ["config.yml:7"] * 2 + ["config.yml:8"] * 2


def test_a_target_whose_machines_have_one_card_has_no_such_key(complaints) -> None:
    (line,) = complaints("name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\nnetworks: []\n")
    assert line.startswith("config.yml:6: unknown key networks")


def test_the_page_for_authors_of_plugins_has_a_target_that_works() -> None:
    """The section's own code, which names everything by the public door."""
    section = PAGE.read_text().partition("## Several network cards")[2].partition("\n## ")[0]
    source = dedent("\n".join(line for line in section.splitlines() if line.startswith("    ")))
    defined: dict[str, Any] = {"__name__": "crate", "Any": Any, "Mapping": Mapping, "Sequence": Sequence}
    defined |= {name: getattr(kube_provision_core, name) for name in kube_provision_core.__all__}
    exec(compile(source, PAGE.name, "exec", dont_inherit=True), defined)
    config = defined["CrateConfig"](networks=[{"name": "pods", "role": "none"}, FIXED])
    target, node = defined["Crate"](dict.fromkeys(Role, config)), node_of("w-prod-1")
    assert target.node_interfaces == dict.fromkeys(Role, "eth1")
    assert target.render_boot(node, cluster_of()) is None
    told = target.network(node, ["00:50:56:00:00:01", "00:50:56:00:00:02"])["ethernets"]
    assert {name: card["match"]["macaddress"][-1] for name, card in told.items()} == {"eth0": "1", "eth1": "2"}
    assert told["eth1"]["addresses"] == ["10.0.0.11/24"]
    with pytest.raises(BootError, match=r"networks\[1\]\.static_ip: has 1 address, and w-prod-2 needs number 2: add 1"):
        target.render_boot(replace(node_of("w-prod-2"), index=2), cluster_of())
