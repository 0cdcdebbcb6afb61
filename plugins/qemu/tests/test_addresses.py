"""Addresses of machines, read by what configures a machine's network."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

import pytest
from servers.debian import install

from kube_provision_core import Machine, NetworkCard, Node, Role, Stamp
from kube_provision_core.testing import node_of
from kube_provision_qemu import addresses


def node(index: int, role: Role = Role.WORKER) -> Node:
    return Node("any", role, index, Machine(1, 1), Stamp("prod", "an-id", role, "spec"))


def test_workers_of_a_pool_take_no_address_that_another_machine_gets_back() -> None:
    gpu, other = Role.of_pool("gpu"), Role.of_pool("other")
    first = addresses.choose(node(1, gpu), ())
    second = addresses.choose(node(1, other), {first})
    assert (first, second) == ("10.0.2.249", "10.0.2.248")
    assert addresses.choose(node(1), {first, second}) == "10.0.2.21"


@pytest.fixture
def render() -> Callable[[str], str]:
    """A function that says what cloud-init makes of a network for systemd-networkd."""
    install("cloud-init")
    script = (
        "import sys, yaml\n"
        "from cloudinit.net.network_state import parse_net_config_data\n"
        "from cloudinit.net.networkd import Renderer\n"
        "state = parse_net_config_data(yaml.safe_load(sys.stdin))\n"
        "print(*Renderer({})._render_content(state).values())\n"
    )

    def render(network: str) -> str:
        command = ["/usr/bin/python3", "-c", script]
        done = subprocess.run(command, input=network, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    return render


def test_the_network_is_understood_by_cloud_init(render: Callable[[str], str]) -> None:
    said = render(addresses.network_text("10.0.2.21", [(addresses.OWN, "52:54:00:00:00:01")], 1))
    told = {"Address=10.0.2.21/24", "MACAddress=52:54:00:00:00:01", "Gateway=10.0.2.2", "DNS=10.0.2.3"}
    assert told <= {*said.splitlines()}


def test_a_network_of_this_host_with_both_families_is_understood_by_cloud_init(render: Callable[[str], str]) -> None:
    static_ip = {
        **{"addresses": ["192.168.1.11/24", "192.168.1.12/24"], "gateway": "192.168.1.1"},
        **{"ipv6_addresses": ["fd00:77::11/64", "fd00:77::12/64"], "ipv6_gateway": "fd00:77::1"},
    }
    card = NetworkCard.model_validate({"name": "bridge:br0", "role": "node", "static_ip": static_ip})
    said = render(addresses.network_text("192.168.1.12", [(card, "52:54:00:00:00:01")], 2, ["192.168.1.53"]))
    assert {"Address=192.168.1.12/24", "Address=fd00:77::12/64", "DNS=192.168.1.53"} <= {*said.splitlines()}
    assert routes(said, "192.168.1.1") == [ip_network("0.0.0.0/0")]
    assert routes(said, "fd00:77::1") == [ip_network("::/0")]


def routes(said: str, gateway: str) -> list[IPv4Network | IPv6Network]:
    """What networkd reaches by that router, in whatever pieces it is written; one without a destination is everything."""
    everything = "::/0" if ":" in gateway else "0.0.0.0/0"
    sections = [dict(line.split("=", 1) for line in it.splitlines() if "=" in line) for it in said.split("[Route]")[1:]]
    ways = [ip_network(it.get("Destination", everything)) for it in sections if it["Gateway"] == gateway]
    return list(collapse_addresses(ways))


def test_each_machine_has_an_address_of_its_own_whatever_was_made_first() -> None:
    counted = [(Role.DISCOVERY, 0), *((Role.DISCOVERY, n) for n in range(2, 6)), (Role.MASTER, 1), (Role.MASTER, 2)]
    nodes = [replace(node_of("x", role), index=index) for role, index in counted]
    assert [addresses.choose(node, ()).rpartition(".")[2] for node in nodes] == ["10", "9", "8", "7", "6", "11", "12"]
