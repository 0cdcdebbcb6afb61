"""The hosts themselves: what tests of clusters take for granted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from machines.image import image
from machines.network import Network
from machines.nspawn import Host

WRITES = "#cloud-config\nruncmd: [[sh, -c, 'echo {} >/media/channel/status.json; echo first >>/var/boots']]\n"


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture(scope="module")
def host(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host("m-prod-1", tmp_path_factory.mktemp("hosts"), image(), network.link("m-prod-1", "10.77.0.11"))
    host.insert_seed("m-prod-1-a", WRITES)
    host.start()
    yield host
    host.destroy()


def test_boots_from_its_seed_without_a_fault(host: Host) -> None:
    result = host.wait_until_booted()
    assert result["v1"]["errors"] == []
    assert host.run("systemctl", "is-system-running", "--wait").strip() == "running"
    assert host.run("hostname").strip() == "m-prod-1"


def test_is_what_a_kubelet_needs(host: Host) -> None:
    host.wait_until_booted()
    assert host.run("stat", "--file-system", "--format", "%T", "/sys/fs/cgroup").strip() == "cgroup2fs"
    host.run("modprobe", "--all", "overlay", "br_netfilter")
    host.run("sysctl", "--quiet", "net.bridge.bridge-nf-call-iptables=1", "net.ipv4.ip_forward=1")


def test_shares_a_folder_with_its_hypervisor(host: Host) -> None:
    host.wait_until_booted()
    assert host.read_channel("status.json") == {}


def test_is_reached_at_its_address_alone(host: Host) -> None:
    host.wait_until_booted()
    assert host.address in host.run("ip", "-4", "address", "show", "dev", "host0")
    assert not host.succeeds("curl", "--silent", "--max-time", "2", "http://192.0.2.1")


@pytest.mark.parametrize("how", ["reboot", "power cut", "power button"])
def test_keeps_its_disk_and_its_identity(host: Host, how: str) -> None:
    host.wait_until_booted()
    if how == "reboot":
        host.reboot()
    else:
        (host.kill if how == "power cut" else host.stop)()
        assert not host.on
        host.start()
    host.wait_until_booted()
    assert host.run("cat", "/var/boots") == "first\n"


def test_two_hosts_reach_each_other_until_the_cable_is_cut(host: Host, network: Network, tmp_path: Path) -> None:
    host.wait_until_booted()
    host.run("systemctl", "start", "ssh.service")
    other = Host("w-prod-1", tmp_path, image(), network.link("w-prod-1", "10.77.0.21"))
    other.insert_seed("w-prod-1-a", "#cloud-config\n{}\n")
    other.start()
    try:
        other.wait_until_booted()
        reach = ("timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/{host.address}/22")
        assert other.succeeds(*reach)
        network.cut(host.link)
        assert not other.succeeds(*reach)
        network.mend(host.link)
        assert other.succeeds(*reach)
    finally:
        other.destroy()
