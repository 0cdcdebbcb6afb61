"""The way to the API servers: a real nginx that follows a real Consul."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.consul_agents import ConsulAgent, eventually
from servers.nodes import put, with_discovery
from servers.process import ServerProcess


class Master(socketserver.ThreadingTCPServer):
    """An API server as far as a TCP proxy can tell: it says its own address."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        super().__init__((address, port), _SayAddress)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def die(self) -> None:
        self.shutdown()
        self.server_close()


class _SayAddress(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(self.server.server_address[0].encode())
        with contextlib.suppress(OSError):
            while said := self.request.recv(100):
                self.request.sendall(said)


class Node:
    """One node's nginx and its follower."""

    def __init__(self, root: Path, agent: ConsulAgent, cluster: str, api_port: int) -> None:
        self.root, self.agent, self.cluster = root, agent, cluster
        self.port = free_port()
        document = {"name": "w-1", "role": "worker", "cluster": cluster, "cluster_id": "id-1", "proxy_port": self.port}
        put(root / "etc/kube-provision/node.json", json.dumps({**document, "api_port": api_port}))
        own = {"servers": [agent.address], "is_server": False, "interface": "", "agent": agent.http}
        put(root / "etc/kube-provision/discovery.json", json.dumps(own))
        self.environment = os.environ | {
            "PATH": f"{root}/bin:/usr/sbin:{os.environ['PATH']}",
            "PYTHONPATH": str(with_discovery(root)),
        }
        self._processes: list[ServerProcess] = []

    def prepare(self) -> None:
        command = [sys.executable, "-m", "kube_provision_node.follower", "prepare", "--root", str(self.root)]
        subprocess.run(command, env=self.environment, check=True, timeout=60)

    def start_nginx(self) -> None:
        command = ["nginx", "-c", str(self.configuration), "-g", "daemon off;"]
        nginx = ServerProcess(command, self.root / "nginx.log", self.environment)
        nginx.wait_until(self.pid_file_is_written)
        self._processes.append(nginx)

    def start_follower(self) -> None:
        command = [sys.executable, "-m", "kube_provision_node.follower", "--root", str(self.root)]
        self._processes.append(ServerProcess(command, self.root / "follower.log", self.environment))

    def start(self) -> Node:
        self.prepare()
        self.start_nginx()
        self.start_follower()
        return self

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.stop()

    @property
    def configuration(self) -> Path:
        return self.root / "etc/kube-provision/nginx.conf"

    @property
    def log(self) -> str:
        return (self.root / "follower.log").read_text()

    def pid_file_is_written(self) -> bool:
        file = self.root / "run/kube-provision/nginx.pid"
        return file.exists() and file.read_text().strip().isdigit()

    def listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("localhost", self.port), timeout=60):
            return True
        return False

    def ask(self) -> str:
        """Who answers on localhost; empty if nobody does."""
        with contextlib.suppress(OSError), socket.create_connection(("localhost", self.port), timeout=60) as connection:
            return connection.recv(100).decode()
        return ""

    def leads_to(self, *addresses: str) -> bool:
        """All of these answer, and nobody else."""
        return {self.ask() for _ in range(4 * len(addresses))} == set(addresses)

    def add_masters(self, *addresses: str) -> None:
        for address in addresses:
            self.agent.add_master(self.cluster, f"{self.cluster}-{address}", address)

    def remove_masters(self, *addresses: str) -> None:
        for address in addresses:
            self.agent.remove_node(f"{self.cluster}-{address}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def masters(agents: list[ConsulAgent]) -> Iterator[list[Master]]:
    network, port = agents[0].address.rpartition(".")[0], free_port()
    found = [Master(f"{network}.{number}", port) for number in (11, 12, 13)]
    yield found
    for master in found:
        master.die()


@pytest.fixture
def node(tmp_path: Path, agents: list[ConsulAgent], endpoint: object, masters: list[Master]) -> Iterator[Node]:
    made = Node(tmp_path, agents[0], f"c{tmp_path.name[-20:].replace('_', '-')}", masters[0].server_address[1])
    yield made
    made.stop()
    made.remove_masters(*(master.address for master in masters), "127.0.0.9")


def test_nothing_listens_until_there_is_a_master(node: Node, masters: list[Master]) -> None:
    node.start()
    assert not eventually(node.listens, timeout=1.0)
    node.add_masters(masters[0].address)
    assert eventually(lambda: node.leads_to(masters[0].address))


def test_masters_that_come_and_go_are_followed(node: Node, masters: list[Master]) -> None:
    one, two, three = (master.address for master in masters)
    node.add_masters(one)
    node.start()
    assert eventually(lambda: node.leads_to(one))
    node.add_masters(two, three)
    assert eventually(lambda: node.leads_to(one, two, three))
    node.remove_masters(one)
    assert eventually(lambda: node.leads_to(two, three))


def test_an_empty_answer_keeps_the_last_good_list(node: Node, masters: list[Master]) -> None:
    node.add_masters(masters[0].address)
    node.start()
    assert eventually(lambda: node.leads_to(masters[0].address))
    node.remove_masters(masters[0].address)
    assert not eventually(lambda: node.ask() != masters[0].address, timeout=2.0)


def test_no_answer_at_all_keeps_the_last_good_list(node: Node, masters: list[Master]) -> None:
    node.add_masters(masters[0].address)
    node.start()
    assert eventually(lambda: node.leads_to(masters[0].address))
    own = node.root / "etc/kube-provision/discovery.json"
    own.write_text(own.read_text().replace(":8500", ":1"))
    node._processes.pop().stop()
    node.start_follower()
    assert eventually(lambda: "the last good list of masters stays" in node.log)
    assert node.ask() == masters[0].address


def test_the_last_good_list_outlives_a_reboot(node: Node, masters: list[Master]) -> None:
    node.add_masters(masters[0].address)
    node.start()
    assert eventually(lambda: node.leads_to(masters[0].address))
    node.stop()
    node.remove_masters(masters[0].address)
    node.prepare()
    node.start_nginx()
    assert node.ask() == masters[0].address


def test_a_dead_master_that_is_still_listed_is_not_met(node: Node, masters: list[Master]) -> None:
    one, two, three = (master.address for master in masters)
    node.add_masters(one, two, three)
    node.start()
    assert eventually(lambda: node.leads_to(one, two, three))
    masters[0].die()
    assert [node.ask() for _ in range(30)].count("") == 0
    assert node.leads_to(two, three)


def test_a_list_that_nginx_refuses_is_dropped_and_a_later_one_is_taken(node: Node, masters: list[Master]) -> None:
    one, two, three = (master.address for master in masters)
    node.add_masters(one)
    node.start()
    assert eventually(lambda: node.leads_to(one))
    good = node.configuration.read_text()
    put(node.root / "bin/nginx", "#!/bin/sh\necho 'nginx: [emerg] no' >&2\nexit 1\n")
    (node.root / "bin/nginx").chmod(0o755)
    node.add_masters(two)
    assert eventually(lambda: "nginx refuses the new list of masters, the old one stays: nginx: [emerg] no" in node.log)
    assert (node.configuration.read_text(), node.ask()) == (good, one)
    (node.root / "bin/nginx").unlink()
    node.add_masters(three)
    assert eventually(lambda: node.leads_to(one, two, three))


def test_what_is_no_address_never_reaches_the_configuration(node: Node, masters: list[Master]) -> None:
    evil = "127.0.0.1:1; } access_log /etc/passwd"
    node.agent.add_master(node.cluster, f"{node.cluster}-127.0.0.9", "127.0.0.9", service_address=evil)
    node.add_masters(masters[0].address)
    node.start()
    assert eventually(lambda: node.leads_to(masters[0].address))
    assert "passwd" not in node.configuration.read_text()


def test_open_connections_outlive_a_change_of_the_list(node: Node, masters: list[Master]) -> None:
    node.add_masters(masters[0].address)
    node.start()
    assert eventually(lambda: node.leads_to(masters[0].address))
    with socket.create_connection(("localhost", node.port), timeout=60) as before:
        assert before.recv(100).decode() == masters[0].address
        node.add_masters(masters[1].address)
        assert eventually(lambda: node.leads_to(masters[0].address, masters[1].address))
        before.sendall(b"still here")
        assert before.recv(100) == b"still here"


def test_it_listens_on_loopback_only(node: Node, masters: list[Master]) -> None:
    node.add_masters(masters[0].address)
    node.start()
    assert eventually(node.listens)
    lines = [line.strip() for line in node.configuration.read_text().splitlines() if line.strip().startswith("listen")]
    assert set(lines) <= {f"listen 127.0.0.1:{node.port};", f"listen [::1]:{node.port};"}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((masters[1].address, node.port), timeout=60)
