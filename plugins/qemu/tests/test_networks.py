"""Machines with several network cards: their wires, what they are told, and what is wrong before one is made."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.qemu import CLUSTER, boot, node

from kube_provision_core import BootError, ConfigError, NetworkCard, Role
from kube_provision_core.config import load
from kube_provision_qemu import addresses, checks, command, files, power, processes, qmp, record, wire
from kube_provision_qemu.driver import Qemu
from kube_provision_qemu.emulator import Emulator
from kube_provision_qemu.places import Places
from kube_provision_qemu.power import Sight
from kube_provision_qemu.record import Record
from kube_provision_qemu.template import Fingerprint, Template

MakeDriver = Callable[..., Qemu]

SAN: Mapping[str, Any] = {
    "name": "san",
    "role": "storage",
    "static_ip": {"addresses": ["10.9.0.11/24", "10.9.0.12/24"]},
    "mtu": 9000,
}
LAN: Mapping[str, Any] = {"name": "cluster", "role": "node", "dns_search": ["a.example"]}
PODS: Mapping[str, Any] = {"name": "pods", "role": "none"}
NETWORKS = [SAN, LAN, PODS]

WORKER = node("w-home-1")
MADE = Record(
    name=WORKER.name,
    uuid="00000000-0000-4000-8000-000000000001",
    stamp=WORKER.stamp,
    address="10.0.2.21",
    mac="52:54:00:00:00:02",
    cpu=1,
    memory_gib=1,
    template=Path("/images/debian.qcow2"),
    fingerprint=Fingerprint(1, 2),
    ports=(22,),
    further_networks=(("san", "52:54:00:00:00:01"), ("pods", "52:54:00:00:00:03")),
    own_card=1,
    static_addresses=(("san", "10.9.0.11"),),
)


def test_cards_come_in_the_order_of_the_networks() -> None:
    binary = Path("/usr/bin/qemu-system-x86_64")
    template = Template(MADE.template, 1024, MADE.fingerprint)
    said = " ".join(command.machine(MADE, template, Emulator(binary, binary, (7, 2), "x86_64", "tcg"), []))
    cards = [part.split(",romfile")[0] for part in said.split("-device virtio-net-pci,")[1:]]
    assert cards == [
        "netdev=nic1,mac=52:54:00:00:00:01",
        "netdev=nic,mac=52:54:00:00:00:02",
        "netdev=nic2,mac=52:54:00:00:00:03",
    ]


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    for made in (MADE, replace(MADE, further_networks=(), own_card=0, static_addresses=())):
        folder = tmp_path / made.name
        folder.mkdir(exist_ok=True)
        record.write(folder, made)
        assert record.read(folder) == made
    written = json.loads((folder / "machine.json").read_text())
    assert not {"further_networks", "own_card", "static_addresses"} & written.keys()


def test_a_machine_is_told_of_each_card() -> None:
    cards = [(NetworkCard.model_validate(card), mac) for card, (_, mac) in zip(NETWORKS, MADE.cards, strict=True)]
    told = json.loads(addresses.network_text(MADE.address, cards, 2))["ethernets"]
    assert [card["match"]["macaddress"] for card in told.values()] == [f"52:54:00:00:00:0{number}" for number in (1, 2, 3)]
    assert (told["eth0"]["addresses"], told["eth0"]["mtu"]) == (["10.9.0.12/24"], 9000)
    assert "routes" not in told["eth0"]
    assert "nameservers" not in told["eth0"]
    assert told["eth1"]["addresses"] == ["10.0.2.21/24"]
    assert told["eth1"]["routes"] == [{"to": "0.0.0.0/0", "via": "10.0.2.2"}]
    assert told["eth1"]["nameservers"] == {"addresses": ["10.0.2.3"], "search": ["a.example"]}
    assert "addresses" not in told["eth2"]


def test_discovery_is_told_the_interface(make_driver: MakeDriver) -> None:
    assert make_driver(networks=NETWORKS).node_interfaces == dict.fromkeys(Role, "eth1")
    assert make_driver().node_interfaces == {}


@pytest.mark.parametrize(
    ("networks", "lines"),
    [
        (
            [{**LAN, "name": "The LAN"}],
            "6: networks[0].name: must be a DNS label of at most 32 characters, or such as bridge:br0",
        ),
        (
            [{**LAN, "name": "../etc"}],
            "6: networks[0].name: must be a DNS label of at most 32 characters, or such as bridge:br0",
        ),
        ([{**LAN, "mtu": 1501}], "6: networks[0].mtu: the way out takes packets of 1500 bytes at most"),
        (
            [{**LAN, "static_ip": {"addresses": ["10.0.2.50/24"]}}],
            "6: networks[0].static_ip: addresses in the cluster's own network are chosen: remove it",
        ),
        (
            [{**LAN, "routes": [{"to": "10.8.0.0/16", "via": "10.9.0.1"}]}],
            "6: networks[0].routes: 10.9.0.1 is not in 10.0.2.0/24, which is the cluster's own",
        ),
        (
            [LAN, {**SAN, "routes": [{"to": "10.0.2.0/25", "via": "10.9.0.1"}]}],
            "7: networks[1].routes: one leads into 10.0.2.0/24, which is the cluster's own: remove it",
        ),
        (
            [LAN, {"name": "san", "role": "storage"}],
            "7: networks[1]: static_ip is missing: nobody leases addresses in this network",
        ),
        (
            [LAN, {**SAN, "static_ip": {"addresses": ["10.0.2.50/24"]}}],
            "7: networks[1].static_ip: lies in 10.0.2.0/24, which is the cluster's own",
        ),
        (
            [LAN, {"name": "san", "role": "storage", "routes": [{"to": "10.0.2.0/25", "via": "10.9.0.1"}]}],
            "7: networks[1].routes: one leads into 10.0.2.0/24, which is the cluster's own: remove it\n"
            "7: networks[1]: static_ip is missing: nobody leases addresses in this network",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_line(tmp_path: Path, networks: Any, lines: str) -> None:
    document = tmp_path / "config.yml"
    cards = "".join(f"- {json.dumps(card)}\n" for card in networks)
    document.write_text(f"name: home\ntarget: qemu\nos: debian\ntemplate: /images/debian.qcow2\nnetworks:\n{cards}")
    with pytest.raises(ConfigError) as caught:
        load([document], environ={})
    assert caught.value.problems == tuple(f"{document}:{line}" for line in lines.split("\n"))


def test_addresses_that_are_too_few_or_given_twice_are_told(
    make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "SPACE_PER_MACHINE", 0)
    driver = make_driver(networks=NETWORKS)
    nodes = [node("w-home-1"), *(node(f"w-home-{n}", index=n) for n in range(3, 10)), node("m-home-1", Role.MASTER)]
    few, twice = driver.preflight([(one, boot(one)) for one in nodes])
    assert few == (
        "networks[0].static_ip: has 2 addresses, and w-home-3, w-home-4, w-home-5, w-home-6, w-home-7 and 2 more need "
        "numbers up to 9: add 7"
    )
    assert twice.startswith(
        "networks[0].static_ip: 10.9.0.11/24 would be given to both w-home-1 and m-home-1; give each role"
    )


def test_a_machine_that_no_address_is_left_for_is_not_rendered(make_driver: MakeDriver) -> None:
    """So that `validate` tells of it, which asks no server."""
    driver = make_driver(networks=NETWORKS)
    assert driver.render_boot(node=WORKER, cluster=CLUSTER)
    with pytest.raises(BootError, match=r"^networks\[0\]\.static_ip: has 2 addresses, and w-home-3 needs number 3: add 1$"):
        driver.render_boot(node=node("w-home-3", index=3), cluster=CLUSTER)


def test_names_that_are_too_long_for_a_sockets_path_are_told(make_driver: MakeDriver) -> None:
    long = "a" * 32
    driver = make_driver(networks=[LAN, {**PODS, "name": long}])
    assert driver.render_boot(node=WORKER, cluster=replace(CLUSTER, name="c" * 39))
    with pytest.raises(BootError) as caught:
        driver.render_boot(node=WORKER, cluster=replace(CLUSTER, name="c" * 40))
    assert str(caught.value) == (
        f"networks[1].name: {long} and {'c' * 40}, the cluster's name, may have 71 characters together, for a socket's path "
        "has both: shorten one by 1"
    )
    there = replace(WORKER, stamp=replace(WORKER.stamp, cluster="c" * 40))
    assert driver.preflight([(there, boot(there))]) == [str(caught.value)]


@pytest.mark.integration
class TestWires:
    @pytest.fixture
    def driver(self, make_driver: MakeDriver) -> Qemu:
        return make_driver(networks=[SAN, LAN])

    def test_a_network_is_a_wire_of_its_own_for_as_long_as_a_machine_is_on_it(self, driver: Qemu, vm_dir: Path) -> None:
        vm = driver.provision_vm(node=WORKER, boot=boot(WORKER))
        switch = vm_dir / "networks/home.san/switch.pid"
        assert files.holder(switch)
        assert vm.addresses == ("10.0.2.21",)
        assert connections(vm.id) == [True, True]
        processes.kill(switch)
        (seen,) = driver.list_vms(cluster=CLUSTER)
        assert files.holder(switch)
        assert connections(seen.id) == [True, True]
        driver.destroy_vm(vm=seen)
        assert list((vm_dir / "networks").iterdir()) == []

    def test_an_address_there_that_a_machine_has_is_given_to_no_other_one(
        self, driver: Qemu, make_driver: MakeDriver
    ) -> None:
        driver.provision_vm(node=WORKER, boot=boot(WORKER))
        changed = {**SAN, "static_ip": {"addresses": ["10.9.0.10/24", "10.9.0.11/24"]}}
        other, elsewhere = node("w-home-2", index=2), node("w-away-2", index=2, cluster="away")
        edited = make_driver(networks=[changed, LAN])
        (line,) = edited.preflight([(other, boot(other))])
        assert line.startswith("networks[0].static_ip: 10.9.0.11 would be given to w-home-2, and w-home-1 has it: ")
        assert edited.preflight([(elsewhere, boot(elsewhere))]) == []

    def test_the_longest_names_reach_it(self, make_driver: MakeDriver) -> None:
        worker = replace(WORKER, stamp=replace(WORKER.stamp, cluster="c" * 39))
        driver = make_driver(networks=[LAN, {**PODS, "name": "a" * 32}])
        assert connections(driver.provision_vm(node=worker, boot=boot(worker)).id) == [True, True]

    def test_it_ends_with_the_last_machine_on_it(self, driver: Qemu, make_driver: MakeDriver, vm_dir: Path) -> None:
        vm = driver.provision_vm(node=WORKER, boot=boot(WORKER))
        other = node("w-home-2", index=2)
        make_driver().provision_vm(node=other, boot=boot(other))
        driver.destroy_vm(vm=vm)
        assert [path.name for path in (vm_dir / "networks").iterdir()] == ["home"]

    @pytest.mark.parametrize("late", [False, True])
    def test_nothing_of_it_runs_on_when_whoever_destroys_is_killed(
        self, driver: Qemu, vm_dir: Path, monkeypatch: pytest.MonkeyPatch, late: bool
    ) -> None:
        """Before the machine's folder goes, or after it."""
        vm, really = driver.provision_vm(node=WORKER, boot=boot(WORKER)), Places.remove

        def killed(*arguments: Any, **keywords: Any) -> None:
            if late:
                really(*arguments, **keywords)
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(Places, "remove", killed)
            with pytest.raises(Killed):
                driver.destroy_vm(vm=vm)
        assert list((vm_dir / "networks").iterdir()) == []
        assert [seen.name for seen in driver.list_vms(cluster=CLUSTER)] == ([] if late else [vm.name])
        assert driver.destroy_vm(vm=vm) is True
        assert driver.list_vms(cluster=CLUSTER) == []

    def test_nothing_is_started_for_a_machine_that_goes_while_it_is_looked_at(
        self, driver: Qemu, make_driver: MakeDriver, vm_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vm, really = driver.provision_vm(node=WORKER, boot=boot(WORKER)), power.look

        def destroyed_after(made: Record, folder: Path) -> Sight:
            sight = really(made, folder)
            monkeypatch.setattr(power, "look", really)
            make_driver().destroy_vm(vm=vm)
            return sight

        monkeypatch.setattr(power, "look", destroyed_after)
        driver.list_vms(cluster=CLUSTER)
        assert list((vm_dir / "networks").iterdir()) == []


class Killed(BaseException):
    """What `except Exception` does not catch."""


def connections(folder: str) -> list[bool]:
    with qmp.session(Path(folder) / "qmp.sock") as machine:
        return [wire.is_connected(machine, hub) for hub in (0, 1)]
