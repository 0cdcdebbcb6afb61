"""Addresses of machines, read by what configures a machine's network."""

from __future__ import annotations

import subprocess

from servers.debian import install

from kube_provision_qemu import addresses


def test_the_network_is_understood_by_cloud_init() -> None:
    install("cloud-init")
    network = addresses.network_config("10.0.2.21", "52:54:00:00:00:01")
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
