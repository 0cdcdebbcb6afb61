"""Machines with several network cards: how VMware is told, what the machine is told, and which address is its own."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from gzip import decompress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from servers.vmware import Vmware

from kube_provision_core import PUBLISHER, Boot, BootError, Cluster, Node, Role
from kube_provision_core.testing import cluster_of, node_of
from kube_provision_fusion.driver import Fusion
from kube_provision_fusion.host import workstation

SAN = {"name": "vmnet2", "role": "storage", "static_ip": {"addresses": ["10.9.0.11/24"]}, "mtu": 9000}
LAN = {"name": "nat", "role": "node"}
PODS = {"name": "hostonly", "role": "none"}
NETWORKS = [SAN, LAN, PODS]

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]


@pytest.fixture
def driver(vmware: Vmware) -> Fusion:
    return vmware.driver(networks=NETWORKS)


@pytest.fixture
def made(vmware: Vmware, driver: Fusion, node: MakeNode, boot: MakeBoot) -> dict[str, str]:
    """The settings of a machine with three cards."""
    driver.provision_vm(node=node(), boot=boot(node()))
    settings = vmware.machine("w-prod-1")
    return {name: settings.get(name) for name in settings.names() if name.startswith(("ethernet", "guestinfo."))}


def test_each_network_has_a_card_and_the_templates_are_gone(made: dict[str, str]) -> None:
    cards = [{key: made.get(f"ethernet{n}.{key}") for key in ("present", "connectiontype", "vnet")} for n in range(3)]
    assert cards == [
        {"present": "TRUE", "connectiontype": "custom", "vnet": "vmnet2"},
        {"present": "TRUE", "connectiontype": "nat", "vnet": None},
        {"present": "TRUE", "connectiontype": "hostonly", "vnet": None},
    ]
    assert {made[f"ethernet{n}.virtualdev"] for n in range(3)} == {"vmxnet3"}
    assert not [name for name in made if name.endswith(("pcislotnumber", "generatedaddress", "enable"))]


def test_a_template_needs_no_card_of_its_own(vmware: Vmware, driver: Fusion, node: MakeNode, boot: MakeBoot) -> None:
    vmware.set_vmx("ubuntu_base", {"ethernet0.present": "FALSE"})
    assert driver.preflight(machines=[(node(), boot(node()))]) == []
    driver.provision_vm(node=node(), boot=boot(node()))
    settings = vmware.machine("w-prod-1")
    assert {settings.get(f"ethernet{n}.{key}") for n in range(3) for key in ("present", "virtualDev")} == {"TRUE", "vmxnet3"}


def test_the_machine_is_told_which_is_which(made: dict[str, str]) -> None:
    told = json.loads(decompress(b64decode(made["guestinfo.metadata"])))["network"]["ethernets"]
    macs = [made[f"ethernet{n}.address"] for n in range(3)]
    assert len(set(macs)) == 3
    assert [card["match"]["macaddress"] for card in told.values()] == macs
    assert (told["eth0"]["addresses"], told["eth0"]["mtu"], told["eth1"]["dhcp4"]) == (["10.9.0.11/24"], 9000, True)


def test_workstation_names_a_network_by_its_device(vmware: Vmware, node: MakeNode, boot: MakeBoot) -> None:
    vmware.be(product="ws")
    vmware.driver(networks=NETWORKS).provision_vm(node=node(), boot=boot(node()))
    file = vmware.vm_dir / "w-prod-1" / "w-prod-1.vmx"
    assert 'ethernet0.vnet = "/dev/vmnet2"' in file.read_text()


def test_the_address_is_that_of_the_nodes_network(
    vmware: Vmware, driver: Fusion, node: MakeNode, boot: MakeBoot, cluster: Cluster
) -> None:
    """What cloud-init tells may be another card's."""
    vmware.be(address="bridge")
    driver.provision_vm(node=node(), boot=boot(node()))
    (vm,) = driver.list_vms(cluster=cluster)
    card = vmware.machine("w-prod-1").get("ethernet1.address")
    assert (vm.addresses, vm.notice.endswith(f"and {card} has no DHCP lease")) == ((), True)
    lease = "lease 172.16.133.99 {\n\tends 2 2026/11/17 09:42:44;\n\thardware ethernet %s;\n}\n"
    with (vmware.root / "vmnet8.leases").open("a") as leases:
        leases.write(lease % card)
    assert driver.list_vms(cluster=cluster)[0].addresses == ("172.16.133.99",)
    vmware.publish(
        "w-prod-1", **{"kube-provision.status": '{"address": "172.16.133.77", "stage": "install", "state": "running"}'}
    )
    assert driver.list_vms(cluster=cluster)[0].addresses[0] == "172.16.133.77"


def test_the_machine_publishes_the_address_on_that_card(driver: Fusion, tmp_path: Path) -> None:
    machine = replace(node_of("w-prod-1"), interface=driver.node_interfaces[Role.WORKER])
    (script,) = [it for it in driver.render_boot(node=machine, cluster=cluster_of()).files if it.path == PUBLISHER]
    (tmp_path / "publish").write_text(str(script.content))
    said = "3: eth1    inet 10.0.0.77/24 brd 10.0.0.255 scope global eth1"
    programs = {"vmtoolsd": f'echo "$2" > {tmp_path}/told', "ip": f'[ "$6" = eth1 ] && echo "{said}"'}
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(["/bin/sh", tmp_path / "publish"], input='{"stage": "x"}', text=True, check=True, env={"PATH": path})
    assert '{"address": "10.0.0.77", "stage": "x"}' in (tmp_path / "told").read_text()


def test_discovery_is_told_the_interface(vmware: Vmware, driver: Fusion) -> None:
    assert driver.node_interfaces == dict.fromkeys(Role, "eth1")
    assert vmware.driver().node_interfaces == {}


@pytest.mark.parametrize(
    ("networks", "way", "said"),
    [
        ([{**LAN, "name": "VM Network"}], (0, "name"), "must be nat, bridged, hostonly, or the name of a network"),
        *(
            ([LAN, {"name": name, "role": "none"}], (1, "name"), "must be nat, bridged, hostonly, or the name of a network")
            for name in ("vmnet01", "vmnet1000", "vmnet")
        ),
        *(
            ([LAN, {"name": kind, "role": "none"}, {"name": name, "role": "none"}], (2, "name"), f"are one network, {name}:")
            for kind, name in {"hostonly": "vmnet1", "bridged": "vmnet0"}.items()
        ),
        ([LAN, {"name": "vmnet8", "role": "none"}], (1, "name"), "vmnet8 and nat are one network, vmnet8: keep one of them"),
        (
            [LAN, *({"name": f"vmnet{number}", "role": "none"} for number in range(10, 20))],
            (),
            "should have at most 10 items",
        ),
        ([{**LAN, "static_ip": {"addresses": ["10.0.0.11/24"]}}], (0, "static_ip"), "come by DHCP: remove it"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(vmware: Vmware, networks: Any, way: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        vmware.config(networks=networks)
    (error,) = caught.value.errors()
    assert error["loc"] == ("networks", *way)
    assert said in error["msg"]


def test_addresses_that_are_too_few_are_told(driver: Fusion, node: MakeNode, boot: MakeBoot) -> None:
    second = replace(node("w-prod-2"), index=2)
    assert driver.preflight(machines=[(second, boot(second))]) == [
        "networks[0].static_ip: has 1 address, and w-prod-2 needs number 2: add 1"
    ]


def test_a_machine_that_no_address_is_left_for_is_not_rendered(driver: Fusion, node: MakeNode) -> None:
    """So that `validate` tells of it, which asks no server."""
    assert driver.render_boot(node=node(), cluster=cluster_of())
    with pytest.raises(BootError, match=r"^networks\[0\]\.static_ip: has 1 address, and w-prod-2 needs number 2: add 1$"):
        driver.render_boot(node=replace(node("w-prod-2"), index=2), cluster=cluster_of())


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        ("", []),
        ("answer VNET_2_DHCP no\nanswer VNET_8_NAT yes\n", []),
        (
            "VERSION=1,0\nanswer VNET_1_DHCP yes\nanswer VNET_8_NAT yes\n",
            ["networks[0].name: VMware has no network vmnet2; {file} has: vmnet1, vmnet8"],
        ),
    ],
)
def test_a_network_that_vmware_has_not_is_told(
    vmware: Vmware, node: MakeNode, boot: MakeBoot, tmp_path: Path, file: str, lines: list[str]
) -> None:
    (tmp_path / "networking").write_text(file)
    host = replace(vmware.host, networks=tmp_path / "networking")
    driver = Fusion(dict.fromkeys(Role, vmware.config(networks=NETWORKS)), host, vmware.limits)
    found = driver.preflight(machines=[(node(), boot(node()))])
    assert found == [line.format(file=tmp_path / "networking") for line in lines]


def test_a_computer_without_such_a_file_is_not_asked(tmp_path: Path) -> None:
    assert replace(workstation("x86_64"), networks=tmp_path / "none").network_numbers() == frozenset()
