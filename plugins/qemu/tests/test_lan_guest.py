"""Guests that boot in networks of this host, and whom others reach there, in one story.

The tests run in their order. A bridge, a tap and a neighbour are in a network that leads nowhere.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from machines.host_network import lan, qemu_that_may
from machines.network import Link, Network
from servers.guest import FINISHED, guest_boot, guest_template
from servers.qemu import CLUSTER, boot, end_processes, node

from kube_provision_core import Node, Role, Vm
from kube_provision_qemu import addresses, files, host_networks, processes
from kube_provision_qemu.config import QemuConfig
from kube_provision_qemu.driver import Qemu

pytestmark = pytest.mark.integration

WORKER, OTHER = node("w-home-1"), node("w-away-1", cluster="away")


class Site:
    """Two clusters on this host, one by a bridge and one by a tap, and a neighbour in the network."""

    def __init__(self, folder: Path, network: Network, qemu: Path) -> None:
        for words in ("tuntap add kp0 mode tap", "link set kp0 master bridge up"):
            subprocess.run(["ip", *words.split()], check=True, timeout=60)
        self.neighbour = network.link("neighbour", "10.77.0.50")
        self.enter("ip", "address", "add", f"{self.neighbour.address}/24", "dev", "host0")
        self.enter("ip", "link", "set", "host0", "up")
        self._template, self._folder, self._qemu = guest_template(folder), folder, qemu
        self.home = self._driver("home", "bridge:bridge", "10.77.0.11")
        self.away = self._driver("away", "tap:kp0", "10.77.0.21")

    def _driver(self, folder: str, network: str, address: str) -> Qemu:
        keys = {"template": self._template, "vm_dir": self._folder / folder, "qemu_binary": str(self._qemu)}
        config = QemuConfig.model_validate({**keys, "qemu_accelerator": "tcg", "networks": [lan(network, address)]})
        driver = Qemu(dict.fromkeys(Role, config))
        driver.bounds = replace(driver.bounds, powerdown=0.1, agent=0.1)
        return driver

    def enter(self, *command: str) -> str:
        """What a command says on the neighbour."""
        return said_by(self.neighbour, *command)

    def get(self, address: str, path: str) -> str:
        """What the API server's port of a machine answers the neighbour."""
        script = (
            f"import urllib.request as it; print(it.urlopen('http://{address}:6443/{path}', timeout=20).read().decode())"
        )
        return self.enter("env", "-i", sys.executable, "-c", script).strip()


def said_by(link: Link, *command: str) -> str:
    line = ["nsenter", f"--net={link.namespace}", *command]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def only(driver: Qemu, cluster: str) -> Vm:
    (vm,) = driver.list_vms(cluster=replace(CLUSTER, name=cluster))
    return vm


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("lan")
    with Network() as network:
        try:
            site = Site(folder, network, qemu_that_may(folder, "allow bridge\n"))
            machines: list[tuple[Qemu, Node]] = [(site.home, WORKER), (site.away, OTHER)]
            for driver, machine in machines:
                assert driver.preflight([(machine, boot(machine))]) == []
                driver.provision_vm(node=machine, boot=guest_boot(driver, machine))
            until(lambda: only(site.home, "home").status == only(site.away, "away").status == FINISHED)
            yield site
        finally:
            for name in ("home", "away"):
                end_processes(folder / name)


def test_a_neighbour_reaches_them(site: Site) -> None:
    assert [site.get(address, "name") for address in ("10.77.0.11", "10.77.0.21")] == ["w-home-1", "w-away-1"]


def test_this_host_reaches_them_at_their_addresses(site: Site) -> None:
    vm = only(site.home, "home")
    assert (vm.address, vm.reach) == ("10.77.0.11", {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{vm.address}:22/name", timeout=20) as answer:
        assert answer.read().decode().strip() == "w-home-1"


def test_they_reach_each_other(site: Site) -> None:
    assert site.get("10.77.0.11", "cgi-bin/fetch?10.77.0.21:22/name") == "w-away-1"


def test_they_lead_out_through_the_gateway(site: Site) -> None:
    assert "default via 10.77.0.1 dev eth0" in site.get("10.77.0.11", "cgi-bin/network")


def test_neighbours_see_their_own_hardware_addresses(site: Site) -> None:
    site.get("10.77.0.11", "name")
    known = json.loads(site.enter("ip", "-json", "neighbour", "show", "10.77.0.11"))
    assert known[0]["lladdr"] == addresses.mac("id-of-home", "w-home-1")


@pytest.mark.parametrize("killed", ["pid", "switch.pid"])
def test_a_process_that_was_killed_is_started_by_the_next_look(site: Site, killed: str) -> None:
    for driver, cluster, network, address in (
        (site.home, "home", "bridge:bridge", "10.77.0.11"),
        (site.away, "away", "tap:kp0", "10.77.0.21"),
    ):
        pid_file = driver._places.network(f"{cluster}.{network}") / killed
        processes.kill(pid_file)
        only(driver, cluster)
        assert files.holder(pid_file)
        assert site.get(address, "name") == f"w-{cluster}-1"


def test_a_tap_is_one_clusters_own(site: Site) -> None:
    (line,) = host_networks.problems(Path("/usr/bin/qemu-system-x86_64"), "tap:kp0")
    assert line.endswith("Device or resource busy; one cluster has a tap for itself: make another")
    assert site.away.preflight([(OTHER, boot(OTHER))]) == []


def test_nothing_is_left_of_them(site: Site) -> None:
    for driver, cluster in ((site.home, "home"), (site.away, "away")):
        driver.destroy_vm(vm=only(driver, cluster))
        assert list(driver._places.network(cluster).parent.iterdir()) == []
    left = json.loads(subprocess.run(["ip", "-json", "link"], capture_output=True, check=True, timeout=60).stdout)
    assert {link["ifname"] for link in left} == {"lo", "bridge", "kp0", site.neighbour.end}


def until(happens: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"nothing after {seconds} s"
        time.sleep(0.25)
