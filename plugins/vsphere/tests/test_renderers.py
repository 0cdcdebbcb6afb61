"""The network as each of cloud-init's renderers writes it for its system, by cloud-init itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers.debian import install

from kube_provision_core import Machine, Node, Role, Stamp
from kube_provision_vsphere import guestinfo
from kube_provision_vsphere.config import VsphereConfig
from kube_provision_vsphere.hardware_address import hardware_addresses

KEYS: dict[str, dict[str, Any]] = {
    "fixed": {"static_ip": {"addresses": ["10.0.0.12/24"], "gateway": "10.0.0.1"}, "dns_servers": ["10.0.0.53"]},
    "leased": {"dns_servers": ["10.0.0.53"]},
    "both": {
        "static_ip": {
            "addresses": ["10.0.0.12/24"],
            "gateway": "10.0.0.1",
            "ipv6_addresses": ["fd00::12/64"],
            "ipv6_gateway": "fd00::1",
        }
    },
}
"""The last has both families."""
SEVERAL: dict[str, Any] = {
    "networks": [
        {"name": "lan", "role": "node", "static_ip": KEYS["fixed"]["static_ip"], "dns_search": ["a.example"]},
        {"name": "san", "role": "storage", "mtu": 9000},
        {
            "name": "backup",
            "role": "storage",
            "static_ip": {"addresses": ["10.9.0.12/24"]},
            "routes": [{"to": "10.8.0.0/16", "via": "10.9.0.1"}],
        },
        {"name": "pods", "role": "none", "mtu": 9000},
    ],
    "dns_servers": ["10.0.0.53"],
}
MACHINE = Node("w-prod-1", Role.WORKER, 1, Machine(cpu=2, memory_gib=4), Stamp("prod", "an-id", Role.WORKER, "0123456789ab"))

DISTRIBUTIONS = {"sysconfig": "centos", "network-manager": "centos"}

NAMES = {
    "netplan": ("etc/netplan/50-cloud-init.yaml", ["set-name: eth0", "macaddress: {mac}"]),
    "sysconfig": ("etc/sysconfig/network-scripts/ifcfg-eth0", ["DEVICE=eth0", "HWADDR={mac}", "ONBOOT=yes"]),
    "network-manager": (
        "etc/NetworkManager/system-connections/cloud-init-eth0.nmconnection",
        ["type=ethernet", "mac-address={MAC}"],
    ),
    "eni": ("etc/network/interfaces.d/50-cloud-init", ["auto eth0"]),
    "networkd": ("etc/systemd/network/10-cloud-init-eth0.network", ["[Match]", "MACAddress={mac}", "Name=eth0"]),
}
"""Which file says, and how, that it is about the card with that address."""

FIXED = {
    "netplan": ["- 10.0.0.12/24", "dhcp4: false", "via: 10.0.0.1", "- 10.0.0.53"],
    "sysconfig": ["BOOTPROTO=none", "IPADDR=10.0.0.12", "NETMASK=255.255.255.0", "GATEWAY=10.0.0.1", "DNS1=10.0.0.53"],
    "network-manager": ["method=manual", "address1=10.0.0.12/24", "route1=0.0.0.0/0,10.0.0.1", "dns=10.0.0.53;"],
    "eni": [
        "iface eth0 inet static",
        "address 10.0.0.12/24",
        "post-up route add default gw 10.0.0.1 || true",
        "dns-nameservers 10.0.0.53",
    ],
    "networkd": ["DHCP=no", "Address=10.0.0.12/24", "Gateway=10.0.0.1", "DNS=10.0.0.53"],
}

BY_LEASE = {
    "netplan": ["dhcp4: true", "use-dns: false", "- 10.0.0.53"],
    "sysconfig": ["BOOTPROTO=dhcp"],
    "network-manager": ["method=auto"],  # name servers besides a lease's are written by cloud-init 24.1 and newer
    "eni": ["iface eth0 inet dhcp", "dns-nameservers 10.0.0.53"],
    "networkd": ["DHCP=ipv4", "UseDNS=False", "DNS=10.0.0.53"],
}
OF_BOTH = {
    "netplan": ["- 10.0.0.12/24", "- fd00::12/64", "via: 10.0.0.1", "gateway6: fd00::1"],
    "sysconfig": ["IPADDR=10.0.0.12", "GATEWAY=10.0.0.1", "IPV6ADDR=fd00::12/64", "IPV6_DEFAULTGW=fd00::1"],
    "network-manager": ["address1=10.0.0.12/24", "route1=0.0.0.0/0,10.0.0.1", "address1=fd00::12/64", "gateway=fd00::1"],
    "eni": ["address 10.0.0.12/24", "iface eth0 inet6 static", "address fd00::12/64", "gateway fd00::1"],
    "networkd": ["Address=10.0.0.12/24", "Gateway=10.0.0.1", "Address=fd00::12/64", "Gateway=fd00::1"],
}
SAID = {"fixed": FIXED, "leased": BY_LEASE, "both": OF_BOTH}

BESIDE = {
    "netplan": [
        ["use-routes: false", "accept-ra: false", "mtu: 9000"],
        ["- 10.9.0.12/24", "accept-ra: false", "via: 10.9.0.1"],
        ["accept-ra: false", "link-local: []", "optional: true"],
    ],
    "sysconfig": [
        ["BOOTPROTO=dhcp", "DHCLIENT_SET_DEFAULT_ROUTE=no", "IPV6_FORCE_ACCEPT_RA=no", "MTU=9000"],
        ["IPADDR=10.9.0.12", "IPV6_FORCE_ACCEPT_RA=no"],
        ["BOOTPROTO=none", "IPV6_FORCE_ACCEPT_RA=no"],
    ],
    "network-manager": [["method=auto", "mtu=9000"], ["address1=10.9.0.12/24", "route1=10.8.0.0/16,10.9.0.1"], ["mtu=9000"]],
    "eni": [["iface eth1 inet dhcp", "mtu 9000"], ["iface eth2 inet static"], ["iface eth3 inet manual"]],
    "networkd": [["UseRoutes=False", "MTUBytes=9000"], ["Address=10.9.0.12/24", "Gateway=10.9.0.1"], ["DHCP=no"]],
}
"""Of a leased storage network, a fixed one, and one of the role `none`."""
SEARCHED = {
    "netplan": "- a.example",
    "sysconfig": "DOMAIN=a.example",
    "network-manager": "dns-search=a.example;",
    "eni": "dns-search a.example",
    "networkd": "Domains=a.example",
}


NET_CONVERT = """
import os, sys
from cloudinit.cmd.devel import net_convert
def convert(source, folder, distribution, kind):
    words = ["-p", source, "-k", "yaml", "-d", folder, "-D", distribution, "-O", kind]
    return net_convert.handle_args("net-convert", net_convert.get_parser().parse_args(words))
for line in sys.stdin:
    child = os.fork()  # cloud-init changes its own tables
    if child == 0:
        os._exit(convert(*line.split()) or 0)
    assert os.waitpid(child, 0)[1] == 0, line
"""


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Where each renderer has written its files for each configuration. One process does all: cloud-init loads slowly."""
    install("cloud-init")
    folder = tmp_path_factory.mktemp("rendered")
    jobs = {}
    for name, keys in {**KEYS, "several": SEVERAL}.items():
        (folder / name).write_text(json.dumps(guestinfo.network(MACHINE, config(keys))))
        for renderer in NAMES:
            jobs[name, renderer] = folder / f"{name}-{renderer}"
    text = "".join(
        f"{folder / name} {root} {DISTRIBUTIONS.get(renderer, 'debian')} {renderer}\n"
        for (name, renderer), root in jobs.items()
    )
    subprocess.run(
        ["/usr/bin/python3", "-c", NET_CONVERT], input=text, capture_output=True, text=True, timeout=120, check=True
    )
    return jobs


def config(keys: dict[str, Any]) -> VsphereConfig:
    return VsphereConfig(vcenter_hostname="vc", vcenter_username="u", vcenter_password="p", template="t", **keys)


def lines(file: Path) -> set[str]:
    return {line.strip() for line in file.read_text().splitlines()}


@pytest.mark.parametrize("renderer", NAMES)
@pytest.mark.parametrize("name", KEYS)
def test_every_renderer_configures_the_card_that_is_there(
    roots: dict[tuple[str, str], Path], name: str, renderer: str
) -> None:
    mac = hardware_addresses(MACHINE, config(KEYS[name]))[0] or ""
    path, names = NAMES[renderer]
    wanted = {line.format(mac=mac, MAC=mac.upper()) for line in [*names, *SAID[name][renderer]]}
    assert wanted - lines(roots[name, renderer] / path) == set()


def test_of_ipv6_routers_in_other_networks_nothing_is_taken(roots: dict[tuple[str, str], Path]) -> None:
    """As netplan says it, for each card by itself; of the nodes' network the system decides."""
    told = yaml.safe_load((roots["several", "netplan"] / NAMES["netplan"][0]).read_text())["network"]["ethernets"]
    assert {name: card.get("accept-ra") for name, card in told.items()} == {
        "eth0": None,
        "eth1": False,
        "eth2": False,
        "eth3": False,
    }
    assert told["eth3"]["link-local"] == []


@pytest.mark.parametrize("renderer", NAMES)
def test_every_renderer_configures_each_of_several_cards(roots: dict[tuple[str, str], Path], renderer: str) -> None:
    path, names = NAMES[renderer]
    root, chosen = roots["several", renderer], hardware_addresses(MACHINE, config(SEVERAL))
    assert {*FIXED[renderer], SEARCHED[renderer]} - lines(root / path) == set()
    for number, said in enumerate(BESIDE[renderer], start=1):
        mac = chosen[number] or ""
        own = [line.replace("eth0", f"eth{number}").format(mac=mac, MAC=mac.upper()) for line in names]
        found = lines(root / path.replace("eth0", f"eth{number}"))
        assert {*said, *(it for it in own if it != "auto eth3")} - found == set()


def test_under_sysconfig_a_leases_name_servers_are_not_asked(roots: dict[tuple[str, str], Path]) -> None:
    root = roots["leased", "sysconfig"]
    assert "nameserver 10.0.0.53" in lines(root / "etc/resolv.conf")
    assert "dns = none" in lines(root / "etc/NetworkManager/conf.d/99-cloud-init.conf")
