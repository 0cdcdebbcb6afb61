"""Networks of this host: what is wrong with one, in the configuration and here. Bridges and taps are real."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from machines.host_network import lan, qemu_that_may
from servers.own_network import own_network
from servers.qemu import CLUSTER, boot, node

from kube_provision_core import BootError, ConfigError, NetworkCard, Power, Role, TargetError
from kube_provision_core.config import load
from kube_provision_qemu import addresses, files, host_networks, processes
from kube_provision_qemu.driver import Qemu

MakeDriver = Callable[..., Qemu]

QEMU = Path("/usr/bin/qemu-system-x86_64")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
WORKER = node("w-home-1")


# --- what is written ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        *(
            (
                {"networks": [lan(name)]},
                "6: networks[0].name: must be bridge:, tap: or vmnet: with the name of an interface of this host, such as "
                "bridge:br0",
            )
            for name in ("macvlan:eth0", "bridge:", "bridge:br0,helper=/tmp/x", "bridge:a-name-too-long1", "tap:../x")
        ),
        (
            {"networks": [{"name": "bridge", "role": "node"}]},
            "6: networks[0].name: is a kind of networks of this host: say of which interface, as bridge:eth0",
        ),
        (
            {"networks": [{"name": "bridge:br0", "role": "node"}]},
            "6: networks[0]: static_ip is missing: this host has nobody to ask which addresses its machines were leased",
        ),
        (
            {"networks": [lan()], "forwarded_ports": [30080]},
            "7: forwarded_ports: machines in bridge:br0 have all their ports at their own addresses: remove it",
        ),
        (
            {"networks": [lan(address="10.244.3.3")]},
            "6: networks[0].static_ip.addresses[0]: 10.244.3.3/24 lies in pod_subnet 10.244.0.0/16, which is for the inside",
        ),
        ({"dns_servers": ["resolver"]}, "6: dns_servers[0]: "),
    ],
)
def test_what_is_wrong_is_told_at_its_line(tmp_path: Path, keys: dict[str, Any], line: str) -> None:
    document = tmp_path / "config.yml"
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())
    document.write_text(f"name: home\ntarget: qemu\nos: debian\ntemplate: /images/debian.qcow2\n#\n{lines}")
    with pytest.raises(ConfigError) as caught:
        load([document], environ={})
    assert [problem[: len(f"{document}:{line}")] for problem in caught.value.problems] == [f"{document}:{line}"]


def test_a_storage_network_of_the_hosts_may_lease_addresses(make_driver: MakeDriver) -> None:
    cards = [{"name": "cluster", "role": "node"}, {"name": "tap:kp0", "role": "storage"}]
    assert make_driver(networks=cards).fixed_addresses == {}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bridge:br0", "bridge,id=outside,br=br0"),
        ("tap:kp0", "tap,id=outside,ifname=kp0,script=no,downscript=no"),
        ("vmnet:en0", "vmnet-bridged,id=outside,ifname=en0"),
        ("san", None),
    ],
)
def test_qemu_is_told_of_it(name: str, words: str | None) -> None:
    assert host_networks.device(name, "outside") == words


def test_a_machine_is_told_of_its_address_gateway_and_name_servers_there() -> None:
    card = NetworkCard.model_validate(lan())
    told = json.loads(addresses.network_text("10.77.0.11", [(card, "52:54:00:00:00:01")], 1, ["10.77.0.53"]))
    (said,) = told["ethernets"].values()
    assert said["addresses"] == ["10.77.0.11/24"]
    assert said["routes"] == [{"to": "0.0.0.0/0", "via": "10.77.0.1"}]
    assert said["nameservers"] == {"addresses": ["10.77.0.53"]}


def test_nobody_is_named_to_a_machine_there_that_serves_names_on_the_own_wire() -> None:
    card = NetworkCard.model_validate(lan())
    assert "10.0.2" not in addresses.network_text("10.77.0.11", [(card, "52:54:00:00:00:01")], 1)


def test_others_are_told_the_addresses_before_machines_are_made(make_driver: MakeDriver) -> None:
    assert make_driver(networks=[lan()]).fixed_addresses == {role: ["10.77.0.11"] for role in Role}


# --- what is wrong with this host ---------------------------------------------------------------------------------------


@pytest.fixture
def ip() -> Iterator[Callable[[str], None]]:
    """`ip` in a network that has no interface yet."""
    with own_network():
        yield lambda words: run("ip", *words.split())


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


@pytest.fixture
def make_qemu(tmp_path: Path) -> Callable[..., Path]:
    return partial(qemu_that_may, tmp_path)


def problems(binary: Path, name: str) -> list[str]:
    return list(host_networks.problems(binary, name))


@pytest.mark.integration
class TestPreflight:
    def test_a_bridge_that_is_free_to_join_has_nothing_wrong(
        self, ip: Callable[[str], None], make_qemu: Callable[..., Path]
    ) -> None:
        ip("link add br0 up type bridge")
        assert problems(make_qemu("allow br0\n"), "bridge:br0") == []
        assert "tap" not in subprocess.run(["ip", "link"], capture_output=True, text=True, check=True, timeout=60).stdout

    def test_for_a_user_it_is_the_helper_that_joins(self, ip: Callable[[str], None], make_qemu: Callable[..., Path]) -> None:
        ip("link add br0 up type bridge")
        assert problems(make_qemu("allow all\n", under=NOBODY, setuid=True), "bridge:br0") == []

    def test_a_helper_without_rights_is_told(self, ip: Callable[[str], None], make_qemu: Callable[..., Path]) -> None:
        ip("link add br0 up type bridge")
        (line,) = problems(make_qemu("allow all\n", under=NOBODY), "bridge:br0")
        assert line.startswith("bridge:br0 cannot be joined: bridge helper failed: failed to ")
        assert line.endswith(
            "; QEMU's qemu-bridge-helper needs root's rights: chmod u+s it, below /usr/lib/qemu or /usr/libexec"
        )

    @pytest.mark.parametrize(
        ("rules", "why"),
        [
            (None, "failed to parse default acl file `/etc/qemu/bridge.conf'"),
            ("allow virbr0\n", "access denied by acl file"),
        ],
    )
    def test_a_bridge_that_users_are_not_let_into_is_told(
        self, ip: Callable[[str], None], make_qemu: Callable[..., Path], rules: str | None, why: str
    ) -> None:
        ip("link add br0 up type bridge")
        assert problems(make_qemu(rules), "bridge:br0") == [
            f"bridge:br0 cannot be joined: bridge helper failed: {why}; let users in: a line `allow br0` in "
            "/etc/qemu/bridge.conf"
        ]

    def test_what_is_no_bridge_is_told(self, ip: Callable[[str], None], make_qemu: Callable[..., Path]) -> None:
        ip("link add eth7 up type veth peer name eth8")
        (line,) = problems(make_qemu("allow all\n"), "bridge:eth7")
        assert line.endswith("to bridge `eth7': Operation not supported; name a bridge")

    @pytest.mark.parametrize("name", ["bridge:br0", "tap:br0"])
    def test_an_interface_that_is_missing_or_down_is_told(self, ip: Callable[[str], None], name: str) -> None:
        assert problems(QEMU, name) == [f"{name}: this host has no interface br0: make it, or name another"]
        ip("link add br0 type bridge")
        assert problems(QEMU, name) == [f"{name}: br0 is down: ip link set br0 up"]

    def test_what_is_no_tap_is_told(self, ip: Callable[[str], None]) -> None:
        ip("link add br0 up type bridge")
        (line,) = problems(QEMU, "tap:br0")
        assert line == "tap:br0 cannot be joined: could not configure /dev/net/tun (br0): Invalid argument; name a tap"

    def test_somebody_elses_tap_is_told(self, ip: Callable[[str], None], make_qemu: Callable[..., Path]) -> None:
        ip("tuntap add kp0 mode tap user 0")
        ip("link set kp0 up")
        (line,) = problems(make_qemu(None, under=NOBODY), "tap:kp0")
        assert line.endswith("; make it for your user: ip tuntap add kp0 mode tap user NAME")

    def test_a_macs_network_is_told_on_linux(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "linux")
        (line,) = problems(Path("/nowhere"), "vmnet:en0")
        assert line == "vmnet:en0 is for hosts with macOS; here it is bridge:…, tap:…"

    def test_it_is_told_by_its_key_and_once(self, ip: Callable[[str], None], make_driver: MakeDriver) -> None:
        cards = [{"name": "cluster", "role": "node"}, {"name": "bridge:br0", "role": "none"}]
        nodes = [WORKER, node("w-home-2", index=2)]
        assert make_driver(networks=cards).preflight([(it, boot(it)) for it in nodes]) == [
            "networks[1].name: bridge:br0: this host has no interface br0: make it, or name another"
        ]


@pytest.mark.integration
def test_a_machine_whose_network_has_gone_is_not_started(
    ip: Callable[[str], None], make_driver: MakeDriver, make_qemu: Callable[..., Path]
) -> None:
    ip("link add br0 up type bridge")
    driver = make_driver(networks=[lan()], qemu_binary=str(make_qemu("allow br0\n")))
    vm = driver.provision_vm(node=WORKER, boot=boot(WORKER))
    for pid_file in (Path(vm.id) / "pid", driver._places.network("home.bridge:br0") / "pid"):
        processes.kill(pid_file)
    ip("link delete br0")
    with pytest.raises(TargetError, match=r"^bridge:br0: this host has no interface br0: make it, or name another$"):
        driver.provision_vm(node=WORKER, boot=boot(WORKER))
    (seen,) = driver.list_vms(cluster=CLUSTER)
    assert (seen.power, seen.addresses) == (Power.OFF, ())
    driver.destroy_vm(vm=seen)
    assert list(driver._places.network("home").parent.iterdir()) == []


@pytest.mark.integration
class TestAnAddressThatAMachineHas:
    """In a network of this host it is nobody else's, whatever configuration asks for it later."""

    @pytest.fixture
    def make_in_lan(
        self, ip: Callable[[str], None], make_driver: MakeDriver, make_qemu: Callable[..., Path]
    ) -> Callable[..., Qemu]:
        """Drivers whose machines have these IPv4 addresses there, or these of both families."""
        for words in ("link add br0 up type bridge", "tuntap add kp0 mode tap", "link set kp0 up master br0"):
            ip(words)
        binary = str(make_qemu("allow br0\n"))

        def make(name: str, *ipv4: int, ipv6: Sequence[int] = ()) -> Qemu:
            addresses = {"addresses": [f"10.77.0.{it}/24" for it in ipv4]}
            static_ip = {**addresses, "ipv6_addresses": [f"fd00:77::{it}/64" for it in ipv6]}
            return make_driver(networks=[lan(name, static_ip=static_ip)], qemu_binary=binary)

        return make

    def test_is_not_given_by_a_list_that_was_changed(self, make_in_lan: Callable[..., Qemu]) -> None:
        second, third = node("w-home-2", index=2), node("w-home-3", index=3)
        before = make_in_lan("bridge:br0", 11, 12)
        for each in (WORKER, second):
            before.provision_vm(node=each, boot=boot(each))
        after = make_in_lan("bridge:br0", 10, 11, 12)
        line = (
            "networks[0].static_ip: 10.77.0.12 would be given to w-home-3, and w-home-2 has it: write new addresses behind "
            "those of machines that there are, and none twice"
        )
        assert after.preflight([(third, boot(third))]) == [line]
        with pytest.raises(TargetError) as caught:
            after.provision_vm(node=third, boot=boot(third))
        assert str(caught.value) == f"w-home-3 cannot be created: {line}"
        assert [vm.name for vm in after.list_vms(cluster=CLUSTER)] == ["w-home-1", "w-home-2"]

    @pytest.mark.parametrize("name", ["bridge:br0", "tap:kp0"])
    def test_is_not_given_to_another_clusters(self, make_in_lan: Callable[..., Qemu], name: str) -> None:
        make_in_lan("bridge:br0", 11).provision_vm(node=WORKER, boot=boot(WORKER))
        other = node("w-away-1", cluster="away")
        (line,) = make_in_lan(name, 11).preflight([(other, boot(other))])
        assert line.startswith("networks[0].static_ip: 10.77.0.11 would be given to w-away-1, and w-home-1 has it: ")
        assert make_in_lan(name, 12).preflight([(other, boot(other))]) == []

    def test_is_one_of_ipv6_too(self, make_in_lan: Callable[..., Qemu]) -> None:
        make_in_lan("bridge:br0", 11, ipv6=[11]).provision_vm(node=WORKER, boot=boot(WORKER))
        other = node("w-away-1", cluster="away")
        (line,) = make_in_lan("bridge:br0", 12, ipv6=[11]).preflight([(other, boot(other))])
        assert line.startswith("networks[0].static_ip: fd00:77::11 would be given to w-away-1, and w-home-1 has it: ")

    def test_is_given_back_to_one_that_is_made_anew(self, make_in_lan: Callable[..., Qemu]) -> None:
        driver = make_in_lan("bridge:br0", 11)
        vm = driver.provision_vm(node=WORKER, boot=boot(WORKER))
        assert driver.preflight([(WORKER, boot(WORKER))]) == []
        driver.destroy_vm(vm=vm)
        assert driver.provision_vm(node=WORKER, boot=boot(WORKER)).address == "10.77.0.11"


@pytest.mark.integration
def test_a_network_that_has_gone_keeps_no_port_of_this_host_closed(
    ip: Callable[[str], None],
    make_driver: MakeDriver,
    make_qemu: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    ip("link add br0 up type bridge")
    cards = [{"name": "bridge:br0", "role": "storage"}, {"name": "cluster", "role": "node"}, {"name": "san", "role": "none"}]
    driver = make_driver(networks=cards, qemu_binary=str(make_qemu("allow br0\n")))
    before = driver.provision_vm(node=WORKER, boot=boot(WORKER))
    killed = [driver._places.network(name) / "pid" for name in ("home", "home.bridge:br0")]
    killed.append(driver._places.network("home.san") / "switch.pid")
    for pid_file in killed:
        processes.kill(pid_file)
    ip("link delete br0")
    (after,) = driver.list_vms(cluster=CLUSTER)
    assert after == before
    assert [files.holder(pid_file) is not None for pid_file in killed] == [True, False, True]
    socket.create_connection((after.reach[22].host, after.reach[22].port), timeout=5).close()
    assert "the network of cluster home is down: bridge:br0: this host has no interface br0" in caplog.text


def test_a_dual_stack_cluster_needs_a_network_that_has_both_families(make_driver: MakeDriver) -> None:
    cluster = replace(CLUSTER, pod_subnet="10.244.0.0/16,fd00:10:244::/56")
    with pytest.raises(BootError, match=r"^pod_subnet: a dual-stack cluster needs machines with IPv6 addresses"):
        make_driver().render_boot(node=WORKER, cluster=cluster)
    make_driver(networks=[lan()]).render_boot(node=WORKER, cluster=cluster)
    make_driver().render_boot(node=replace(WORKER, role=Role.DISCOVERY), cluster=cluster)


class TestOneNetworkForAllNodes:
    """A machine in another network than the others' would not meet them."""

    @pytest.fixture
    def mixed(self, make_driver: MakeDriver) -> Qemu:
        own, there = make_driver()._config, make_driver(networks=[lan()])._config
        return Qemu({**own, Role.WORKER: there[Role.WORKER]})

    def test_roles_that_differ_are_told_without_a_host(self, mixed: Qemu) -> None:
        cluster = replace(CLUSTER, nodes={"m-home-1": Role.MASTER, "w-home-1": Role.WORKER})
        with pytest.raises(BootError) as caught:
            mixed.render_boot(node=WORKER, cluster=cluster)
        assert str(caught.value) == (
            "networks: all machines of a cluster are nodes in one network, and that of role master is the cluster's own and "
            "that of role worker is bridge:br0: name one for all roles"
        )

    @pytest.mark.integration
    def test_machines_that_are_in_another_one_are_told(self, make_driver: MakeDriver) -> None:
        make_driver().provision_vm(node=WORKER, boot=boot(WORKER))
        other = node("w-home-2", index=2)
        static_ip = {"addresses": ["10.77.0.11/24", "10.77.0.12/24"]}
        line, *_ = make_driver(networks=[lan(static_ip=static_ip)]).preflight([(other, boot(other))])
        assert line == (
            "networks: w-home-2 would be a node in another network (bridge:br0) than w-home-1 (the cluster's own), and not "
            "meet it: a cluster stays in the one that it was made in"
        )
