"""Boot data as cloud-init's VMware datasource reads it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from kube_provision_core import Boot, Node
from kube_provision_vsphere import guestinfo
from kube_provision_vsphere.config import VsphereConfig
from kube_provision_vsphere.hardware_address import hardware_addresses

STATIC = {"addresses": ["10.0.0.11/24", "10.0.0.12/24"], "gateway": "10.0.0.1"}

CLOUD_INIT = """
import json, sys
from cloudinit.sources import DataSourceVMware as source
values = json.load(sys.stdin)
def load(name):
    return source.decode(name, values[f"guestinfo.{name}.encoding"], values[f"guestinfo.{name}"])
metadata = source.process_metadata(source.load_json_or_yaml(load("metadata")))
print(json.dumps({"userdata": load("userdata"), "metadata": metadata}))
"""


def config(**keys: Any) -> VsphereConfig:
    given = {"vcenter_hostname": "vc", "vcenter_username": "u", "vcenter_password": "p", "template": "t"}
    return VsphereConfig(**{**given, **keys})


def read_by_cloud_init(values: dict[str, str]) -> dict[str, Any]:
    """Parsed by the real datasource, under the system's Python."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", CLOUD_INIT],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_cloud_init_reads_what_is_delivered(node: Callable[..., Node], boot: Callable[[Node], Boot]) -> None:
    machine = node(2)
    found = read_by_cloud_init(
        guestinfo.of(machine, boot(machine), config(static_ip=STATIC, dns_servers=["10.0.0.53"])).values()
    )
    assert found["userdata"] == boot(machine).user_data
    assert found["metadata"] == {
        "instance-id": "w-prod-2-instance",
        "local-hostname": "w-prod-2",
        "network": {
            "config": {
                "version": 2,
                "ethernets": {
                    "eth0": {
                        "match": {"macaddress": "00:50:56:00:00:0c"},
                        "set-name": "eth0",
                        "dhcp4": False,
                        "addresses": ["10.0.0.12/24"],
                        "routes": [{"to": "0.0.0.0/0", "via": "10.0.0.1"}],
                        "nameservers": {"addresses": ["10.0.0.53"]},
                    }
                },
            }
        },
    }


def test_without_addresses_the_system_decides_about_its_network(node: Callable[..., Node]) -> None:
    assert guestinfo.network(node(), config()) == {}


def test_name_servers_alone_keep_dhcp(node: Callable[..., Node]) -> None:
    keys = config(dns_servers=["10.0.0.53"])
    network = guestinfo.network(node(), keys)["network"]
    assert network["ethernets"]["eth0"] == {
        "match": {"macaddress": hardware_addresses(node(), keys)[0]},
        "set-name": "eth0",
        "dhcp4": True,
        "dhcp4-overrides": {"use-dns": False},
        "nameservers": {"addresses": ["10.0.0.53"]},
    }


@pytest.mark.parametrize(("index", "address"), [(0, "10.0.0.11/24"), (1, "10.0.0.11/24"), (2, "10.0.0.12/24"), (3, "None")])
def test_addresses_belong_to_indexes(index: int, address: str) -> None:
    static = config(static_ip=STATIC).static_ip
    assert static
    assert str(static.address_of(index)) == address
