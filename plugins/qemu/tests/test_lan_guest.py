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

from kube_provision_core import Role, Vm
from kube_provision_qemu import addresses, files, host_networks, processes
from kube_provision_qemu.config import QemuConfig
from kube_provision_qemu.driver import Qemu

pytestmark = pytest.mark.integration

BRIDGE, TAP = "bridge:bridge", "tap:kp0"
OWN = {"name": "cluster", "role": "node"}
NETWORKS = {
    "home": [lan(BRIDGE, "10.77.0.11")],
    "away": [lan(TAP, "10.77.0.21")],
    "beside": [OWN, {"name": BRIDGE, "role": "storage", "static_ip": {"addresses": ["10.77.0.31/24"]}}],
}
"""Of three clusters: nodes in the network by a bridge, by a tap, and beside their cluster's own wire."""
CLUSTERS = [("home", BRIDGE, "10.77.0.11"), ("away", TAP, "10.77.0.21"), ("beside", BRIDGE, "10.77.0.31")]
NODES = {cluster: node(f"w-{cluster}-1", cluster=cluster) for cluster in NETWORKS}


class Site:
    """Clusters on this host, and a neighbour in its network."""

    def __init__(self, folder: Path, network: Network, qemu: Path) -> None:
        self.folder = folder
        for words in ("tuntap add kp0 mode tap", "link set kp0 master bridge up"):
            subprocess.run(["ip", *words.split()], check=True, timeout=60)
        self.neighbour = network.link("neighbour", "10.77.0.50")
        self.enter("ip", "address", "add", f"{self.neighbour.address}/24", "dev", "host0")
        self.enter("ip", "link", "set", "host0", "up")
        keys = {"template": guest_template(folder), "qemu_binary": str(qemu), "qemu_accelerator": "tcg"}
        self.drivers = {
            name: _driver(QemuConfig.model_validate({**keys, "vm_dir": folder / name, "networks": cards}))
            for name, cards in NETWORKS.items()
        }

    def vm(self, cluster: str) -> Vm:
        (vm,) = self.drivers[cluster].list_vms(cluster=replace(CLUSTER, name=cluster))
        return vm

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


def _driver(config: QemuConfig) -> Qemu:
    driver = Qemu(dict.fromkeys(Role, config))
    driver.bounds = replace(driver.bounds, powerdown=0.1, agent=0.1)
    return driver


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("lan")
    with Network() as network:
        try:
            site = Site(folder, network, qemu_that_may(folder, "allow bridge\n"))
            for name, driver in site.drivers.items():
                assert driver.preflight([(NODES[name], boot(NODES[name]))]) == []
                driver.provision_vm(node=NODES[name], boot=guest_boot(driver, NODES[name]))
            until(lambda: all(site.vm(name).status == FINISHED for name in NETWORKS))
            yield site
        finally:
            for name in NETWORKS:
                end_processes(folder / name)


@pytest.mark.parametrize(("cluster", "network", "address"), CLUSTERS)
def test_a_neighbour_reaches_them(site: Site, cluster: str, network: str, address: str) -> None:
    assert site.get(address, "name") == f"w-{cluster}-1"


def test_this_host_reaches_them_at_their_addresses(site: Site) -> None:
    vm = site.vm("home")
    assert (vm.address, vm.reach) == ("10.77.0.11", {})
    assert said_here(f"http://{vm.address}:22/name") == "w-home-1"


def test_this_host_reaches_one_on_the_own_wire_by_a_port_of_its_own(site: Site) -> None:
    vm = site.vm("beside")
    assert vm.address == "10.0.2.21"
    assert said_here(f"http://{vm.reach[22].host}:{vm.reach[22].port}/name") == "w-beside-1"


def test_they_reach_each_other(site: Site) -> None:
    assert site.get("10.77.0.11", "cgi-bin/fetch?10.77.0.21:22/name") == "w-away-1"


def test_they_lead_out_through_the_gateway(site: Site) -> None:
    assert "default via 10.77.0.1 dev eth0" in site.get("10.77.0.11", "cgi-bin/network")
    assert "default via 10.0.2.2 dev eth0" in site.get("10.77.0.31", "cgi-bin/network")


def test_neighbours_see_their_own_hardware_addresses(site: Site) -> None:
    site.get("10.77.0.11", "name")
    known = json.loads(site.enter("ip", "-json", "neighbour", "show", "10.77.0.11"))
    assert known[0]["lladdr"] == addresses.mac("id-of-home", "w-home-1")


@pytest.mark.parametrize("killed", ["pid", "switch.pid"])
@pytest.mark.parametrize(("cluster", "network", "address"), CLUSTERS)
def test_a_process_that_was_killed_is_started_by_the_next_look(
    site: Site, cluster: str, network: str, address: str, killed: str
) -> None:
    pid_file = site.folder / cluster / "networks" / f"{cluster}.{network}" / killed
    processes.kill(pid_file)
    site.vm(cluster)
    assert files.holder(pid_file)
    assert site.get(address, "name") == f"w-{cluster}-1"


def test_a_tap_is_one_clusters_own(site: Site) -> None:
    (line,) = host_networks.problems(Path("/usr/bin/qemu-system-x86_64"), "tap:kp0")
    assert line.endswith("Device or resource busy; one cluster has a tap for itself: make another")
    assert site.drivers["away"].preflight([(NODES["away"], boot(NODES["away"]))]) == []


def test_nothing_is_left_of_them(site: Site) -> None:
    for cluster, driver in site.drivers.items():
        driver.destroy_vm(vm=site.vm(cluster))
        assert list((site.folder / cluster / "networks").iterdir()) == []
    left = json.loads(subprocess.run(["ip", "-json", "link"], capture_output=True, check=True, timeout=60).stdout)
    assert [link["ifname"] for link in left if "tap" in link["ifname"]] == []


def said_here(url: str) -> str:
    """What a server answers this host. Proxies of the environment are passed by."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=20) as answer:
        return str(answer.read().decode().strip())


def until(happens: Callable[[], object], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"nothing after {seconds} s"
        time.sleep(0.25)
