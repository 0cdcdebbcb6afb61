"""Boot data as cloud-init's VMware datasource reads it."""

from __future__ import annotations

import base64
import gzip
import json
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from kube_provision_core import Boot, File, Node, Role
from kube_provision_vsphere import guestinfo
from kube_provision_vsphere.config import VsphereConfig

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


def decoded(value: str) -> str:
    return gzip.decompress(base64.b64decode(value)).decode()


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
    found = read_by_cloud_init(guestinfo.values(machine, boot(machine), config(static_ip=STATIC, dns_servers=["10.0.0.53"])))
    assert found["userdata"] == boot(machine).user_data
    assert found["metadata"] == {
        "instance-id": "w-prod-2-instance",
        "local-hostname": "w-prod-2",
        "network": {
            "config": {
                "version": 2,
                "ethernets": {
                    "primary": {
                        "match": {"name": "e*"},
                        "dhcp4": False,
                        "addresses": ["10.0.0.12/24"],
                        "routes": [{"to": "0.0.0.0/0", "via": "10.0.0.1"}],
                        "nameservers": {"addresses": ["10.0.0.53"]},
                    }
                },
            }
        },
    }


def test_without_addresses_the_system_decides_about_its_network(
    node: Callable[..., Node], boot: Callable[[Node], Boot]
) -> None:
    assert "network" not in guestinfo.metadata(node(), boot(node()), config())


def test_name_servers_alone_keep_dhcp(node: Callable[..., Node], boot: Callable[[Node], Boot]) -> None:
    network = guestinfo.metadata(node(), boot(node()), config(dns_servers=["10.0.0.53"]))["network"]
    assert network["ethernets"]["primary"] == {
        "match": {"name": "e*"},
        "dhcp4": True,
        "dhcp4-overrides": {"use-dns": False},
        "nameservers": {"addresses": ["10.0.0.53"]},
    }


@pytest.mark.parametrize(("index", "address"), [(0, "10.0.0.11/24"), (1, "10.0.0.11/24"), (2, "10.0.0.12/24"), (3, None)])
def test_addresses_belong_to_indexes(node: Callable[..., Node], index: int, address: str | None) -> None:
    assert guestinfo.static_address(node(index, Role.MASTER), config(static_ip=STATIC)) == address


def test_equal_boot_data_is_encoded_equally() -> None:
    assert guestinfo.encode("x" * 1000) == guestinfo.encode("x" * 1000)


def test_scrubbed_boot_data_is_an_empty_cloud_config_and_keeps_the_metadata() -> None:
    values = guestinfo.scrubbed_values()
    assert set(values) == {"guestinfo.userdata", "guestinfo.userdata.encoding"}
    text = decoded(values["guestinfo.userdata"])
    assert text.startswith("#cloud-config\n")
    assert yaml.safe_load(text) == {}


def test_boot_data_over_the_limit_is_told_with_the_largest_files(
    node: Callable[..., Node], boot: Callable[[Node], Boot], noise: str
) -> None:
    files = (File("/etc/small", "x"), File("/etc/large", noise), File("/etc/larger", noise + noise))
    large = replace(boot(node()), user_data="#cloud-config\n" + noise, files=files)
    (line,) = guestinfo.oversize(node(), large, config())
    size = len(guestinfo.encode(large.user_data))
    assert f"w-prod-1: boot data (guestinfo.userdata) is {size} bytes when compressed, {size - 65536} more than" in line
    assert line.index("/etc/larger") < line.index("/etc/large (") < line.index("/etc/small")


def test_boot_data_within_the_limit_is_no_problem(node: Callable[..., Node], boot: Callable[[Node], Boot]) -> None:
    assert list(guestinfo.oversize(node(), boot(node()), config())) == []


@pytest.fixture
def noise() -> str:
    """Text that does not compress below the limit."""
    return base64.b64encode(random.Random(7).randbytes(60_000)).decode()
