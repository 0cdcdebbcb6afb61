"""Addresses of machines, read by what configures a machine's network."""

from __future__ import annotations

import subprocess
from dataclasses import replace

from servers.debian import install

from kube_provision_core import Machine, Node, Role, Stamp
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


def test_the_network_is_understood_by_cloud_init() -> None:
    install("cloud-init")
    network = addresses.network_text("10.0.2.21", [(addresses.OWN, "52:54:00:00:00:01")], 1)
    script = (
        "import sys, yaml\n"
        "from cloudinit.net.network_state import parse_net_config_data\n"
        "from cloudinit.net.networkd import Renderer\n"
        "state = parse_net_config_data(yaml.safe_load(sys.stdin))\n"
        "print(*Renderer({})._render_content(state).values())\n"
    )
    done = subprocess.run(["/usr/bin/python3", "-c", script], input=network, capture_output=True, text=True, timeout=60)
    lines = {line for line in done.stdout.splitlines() if "=" in line}
    assert {"Address=10.0.2.21/24", "MACAddress=52:54:00:00:00:01", "Gateway=10.0.2.2", "DNS=10.0.2.3"} <= lines


def test_each_machine_has_an_address_of_its_own_whatever_was_made_first() -> None:
    counted = [(Role.DISCOVERY, 0), *((Role.DISCOVERY, n) for n in range(2, 6)), (Role.MASTER, 1), (Role.MASTER, 2)]
    nodes = [replace(node_of("x", role), index=index) for role, index in counted]
    assert [addresses.choose(node, ()).rpartition(".")[2] for node in nodes] == ["10", "9", "8", "7", "6", "11", "12"]
