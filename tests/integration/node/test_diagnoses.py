"""Real programs that fail for real reasons, run by the real runner: what the node publishes about it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from servers.consul_agents import ConsulAgent, unused_network
from servers.containerd import containerd
from servers.debian import require
from servers.token_judge import api_server

from kube_provision_centos.driver import CentOS
from kube_provision_core import DnfConfig, NodeStatus, Repository, Role
from kube_provision_core.folder.pki import Pki, create_pki
from kube_provision_debian.driver import Debian

RUN = """
import pathlib, sys
from kube_provision_node import runner
sys.exit(runner.run(pathlib.Path(sys.argv[1]), sleep=lambda _: None))
"""
NO_NETWORK = ("unshare", "--map-root-user", "--net")
NO_SIGNATURE = 'could not find a JWS signature in the cluster-info ConfigMap for token ID "abcdef"'


@dataclass
class Node:
    """A folder with one step, and the address space of this machine or of one without a network."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def fail(self, stage: str, script: str, *, known: Mapping[str, object] = {}, within: Sequence[str] = ()) -> NodeStatus:
        """Run the step once; what is published at the end. `within`: the command that runs the runner."""
        step = {"stage": stage, "plugin": "a", "name": "b", "path": "/step.sh", "timeout": 60, "attempts": 1}
        self.write("etc/kube-provision/steps.json", json.dumps([step]))
        self.write("etc/kube-provision/node.json", json.dumps(known))
        self.write("step.sh", script)
        self.write("usr/local/lib/kube-provision/publish", f"#!/bin/sh\ncat >{self.root}/published\n", 0o755)
        command = [sys.executable, "-c", RUN, str(self.root)]
        environment = {**os.environ, **self.environment}
        done = subprocess.run([*within, *command], env=environment, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        status = NodeStatus.parse((self.root / "published").read_text())
        assert status
        assert status.state == "failed"
        return status


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "node")


@pytest.fixture
def debian(node: Node) -> Node:
    """With an apt that knows no machine but this folder, and no repository but those that a test names."""
    root = node.root
    for name in (
        "etc/apt/sources.list.d",
        "etc/apt/preferences.d",
        "var/lib/apt/lists/partial",
        "var/lib/dpkg",
        "var/log/apt",
    ):
        (root / name).mkdir(parents=True)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    node.write("etc/os-release", "ID=debian\nVERSION_CODENAME=trixie\n")
    node.write("bin/systemctl", "#!/bin/sh\n", 0o755)
    dpkg = f'Dir::State::status "{root}/var/lib/dpkg/status";\nDir::Bin::dpkg "/usr/bin/dpkg";\nAPT::Sandbox::User root;\n'
    retries = 'Acquire::http::Timeout "5";\nAcquire::Retries::Delay "false";\n'
    conf = node.write("apt.conf", f'Dir "{root}";\n{dpkg}{retries}Acquire::http::Proxy "DIRECT";\n')
    node.environment = {
        "APT_CONFIG": str(conf),
        "DPKG_ADMINDIR": str(root / "var/lib/dpkg"),
        "PATH": f"{root}/bin:{os.environ['PATH']}:/usr/sbin:/sbin",
        "LC_ALL": "C",
    }
    return node


def install_from(node: Node, url: str) -> str:
    """Deliver what the Debian driver delivers for this mirror; its step."""
    packages = Debian({}).os_packages(
        frozenset({"kubeadm"}), {"kubeadm": "1.37.1"}, {"kubernetes": Repository(url)}, frozenset()
    )
    for file in packages.files:
        text = str(file.content).replace("Types: deb", "Types: deb\nTrusted: yes")
        node.write(file.path.lstrip("/"), text)
    (step,) = packages.steps
    return step.script.replace("/etc/", f"{node.root}/etc/")


@contextmanager
def server(pages: Mapping[str, bytes], *, ahead: float = 0.0) -> Iterator[str]:
    """A web server with these pages whose clock is `ahead`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate((timestamp or time.time()) + ahead, usegmt=True)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/"
        httpd.shutdown()


class TestApt:
    def test_a_repository_that_refuses_is_unreachable(self, debian: Node) -> None:
        status = debian.fail("install", install_from(debian, "http://127.83.0.1:9/"))
        assert status.diagnosis == "repository-unreachable", status
        assert status.cause.startswith("the package repository http://127.83.0.1:9/")
        assert "Connection refused" in status.cause
        assert any("127.83.0.1" in line for line in status.log)

    def test_a_repository_without_what_is_needed_is_unusable(self, debian: Node) -> None:
        with server({}) as url:
            status = debian.fail("install", install_from(debian, url))
        assert status.diagnosis == "repository-unusable", status
        assert url in status.cause

    def test_an_index_from_the_future_means_a_slow_clock(self, debian: Node) -> None:
        later = 3 * 3600.0
        release = f"Date: {formatdate(time.time() + later, usegmt=True)}\nSHA256:\n {'0' * 64} 0 Packages\n"
        with server({"/./Release": release.encode(), "/Release": release.encode()}, ahead=later) as url:
            status = debian.fail("install", install_from(debian, url))
        assert (status.diagnosis, status.cause) == ("wrong-clock", "this machine's clock is 3 h 0 min slow"), status

    def test_without_a_network_the_route_is_the_cause(self, debian: Node) -> None:
        status = debian.fail("install", install_from(debian, "http://mirror.example.org/"), within=NO_NETWORK)
        assert status.diagnosis == "no-default-route", status

    def test_a_package_that_does_not_exist_is_none_of_these(self, debian: Node) -> None:
        index = b"Package: other\nVersion: 1\nArchitecture: all\nFilename: other.deb\nSize: 1\n"
        with server({"/./Packages": index, "/Packages": index}) as url:
            status = debian.fail("install", install_from(debian, url))
        assert (status.diagnosis, status.cause) == ("", ""), status
        assert "Unable to locate package" in status.error


class TestDnf:
    """The step of a CentOS machine, with Debian's dnf on a root folder of its own."""

    @pytest.fixture
    def centos(self, node: Node) -> Node:
        require("dnf", "rpm")
        definitions = node.root / "etc/yum.repos.d"
        definitions.mkdir(parents=True)
        options = f"--installroot={node.root} --releasever=10 --setopt=reposdir={definitions} --setopt=retries=1"
        node.write("bin/dnf", f'#!/bin/sh\nexec {shutil.which("dnf")} {options} --setopt=timeout=1 "$@"\n', 0o755)
        node.write("bin/rpm", f'#!/bin/sh\nexec {shutil.which("rpm")} --root={node.root} "$@"\n', 0o755)
        node.write("bin/systemctl", "#!/bin/sh\n", 0o755)
        node.environment = {"PATH": f"{node.root}/bin:{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C"}
        return node

    @staticmethod
    def install_from(node: Node, url: str, key: str = "-----BEGIN PGP PUBLIC KEY BLOCK-----") -> str:
        """Deliver what the CentOS driver delivers for this mirror; its step."""
        driver = CentOS(dict.fromkeys(Role, DnfConfig()))
        mirrors = {"kubernetes": Repository(url, key=key)}
        packages = driver.os_packages(frozenset({"kubeadm"}), {"kubeadm": "1.37.1"}, mirrors, frozenset())
        for file in packages.files:
            node.write(file.path.lstrip("/"), str(file.content))
        (step,) = (step for step in packages.steps if step.name == "packages")
        return step.script.replace("/etc/", f"{node.root}/etc/")

    def test_a_repository_that_refuses_is_unreachable(self, centos: Node) -> None:
        status = centos.fail("install", self.install_from(centos, "http://127.83.0.1:9/"))
        assert status.diagnosis == "repository-unreachable", status
        assert status.cause.startswith("the package repository http://127.83.0.1:9/repodata/repomd.xml cannot be reached")

    def test_a_repository_that_does_not_answer_is_unreachable(self, centos: Node) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            status = centos.fail("install", self.install_from(centos, url))
        assert status.diagnosis == "repository-unreachable", status
        assert "Timeout was reached" in status.cause

    @pytest.mark.usefixtures("network_of_the_machine")
    def test_a_repository_whose_name_nobody_knows_is_unreachable(self, centos: Node) -> None:
        status = centos.fail("install", self.install_from(centos, "https://pkgs.invalid/"))
        assert status.diagnosis == "repository-unreachable", status
        assert "resolve host" in status.cause

    def test_a_repository_without_what_is_needed_is_unusable(self, centos: Node) -> None:
        with server({}) as url:
            status = centos.fail("install", self.install_from(centos, url))
        assert status.diagnosis == "repository-unusable", status
        assert f"the package repository {url}repodata/repomd.xml does not have what is needed" in status.cause

    def test_a_repository_that_no_key_vouches_for_is_untrusted(self, centos: Node) -> None:
        status = centos.fail("install", self.install_from(centos, "http://127.83.0.1:9/", key=""))
        assert status.diagnosis == "repository-untrusted", status
        assert "kube-provision-kubernetes" in status.cause

    @pytest.mark.parametrize("mirror", ["http://mirror.example.org/", "http://203.0.113.1/"], ids=["name", "address"])
    def test_without_a_network_the_route_is_the_cause(self, centos: Node, mirror: str) -> None:
        status = centos.fail("install", self.install_from(centos, mirror), within=NO_NETWORK)
        assert status.diagnosis == "no-default-route", status


class TestImages:
    """containerd's own client, as the units of containers call it; the same words stand in what kubeadm says."""

    @pytest.fixture
    def runtime(self, node: Node) -> Iterator[Node]:
        with containerd() as environment:
            node.environment = environment
            yield node

    def test_a_registry_that_refuses(self, runtime: Node) -> None:
        status = runtime.fail("finish", '"$CTR" images pull 127.83.0.1:9/library/nginx:1')
        assert status.diagnosis == "image-unavailable", status
        assert status.cause.startswith("the image 127.83.0.1:9/library/nginx:1 cannot be pulled: ")
        assert status.cause.endswith("connection refused")

    def test_a_registry_without_the_image(self, runtime: Node) -> None:
        with server({}) as url:
            image = f"{url.removeprefix('http://')}library/nginx:1"
            status = runtime.fail("finish", f'"$CTR" images pull {image}')
        assert (status.diagnosis, status.cause) == ("image-unavailable", f"the image {image} cannot be pulled: not found")

    @pytest.mark.parametrize("registry", ["registry.example.org", "203.0.113.1"], ids=["name", "address"])
    def test_without_a_network_the_route_is_the_cause(self, runtime: Node, registry: str) -> None:
        status = runtime.fail("finish", f'"$CTR" images pull {registry}/library/nginx:1', within=NO_NETWORK)
        assert status.diagnosis == "no-default-route", status


class TestSwap:
    """kubeadm's own words, and a kernel's table."""

    UNHEALTHY = "echo '[kubelet-check] The kubelet is not healthy after 4m0.000871s' >&2; exit 1"

    @staticmethod
    def with_table(node: Node, *rows: str) -> tuple[str, ...]:
        table = node.write("swaps", "\n".join(["Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority", *rows, ""]))
        script = f'mount --bind {table} /proc/swaps && exec "$@"'
        return "unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"

    def test_that_is_on_keeps_the_kubelet_from_running(self, node: Node) -> None:
        row = "/dev/zram0                              partition\t8388604\t\t0\t\t100"
        status = node.fail("join", self.UNHEALTHY, within=self.with_table(node, row))
        assert status.diagnosis == "swap", status
        assert status.cause.startswith("swap is on (/dev/zram0)")

    def test_that_is_off_is_not_blamed(self, node: Node) -> None:
        status = node.fail("join", self.UNHEALTHY, within=self.with_table(node))
        assert (status.diagnosis, status.cause) == ("", "")


class TestCurl:
    def test_a_key_that_cannot_be_fetched(self, node: Node) -> None:
        status = node.fail("install", "curl --noproxy '*' --fail --silent --show-error http://127.83.0.1:9/key.asc")
        assert status.diagnosis == "repository-unreachable"

    def test_without_a_network(self, node: Node) -> None:
        status = node.fail(
            "install", "curl --noproxy '*' --silent --show-error http://mirror.example.org/", within=NO_NETWORK
        )
        assert status.diagnosis == "no-default-route"


class TestDiscovery:
    @pytest.fixture
    def lonely(self, tmp_path: Path) -> Iterator[ConsulAgent]:
        """A Consul agent whose server is not there."""
        network = unused_network()
        agent = ConsulAgent(tmp_path / "agent", f"{network}.2", {"node_name": "w-1", "retry_join": [f"{network}.1"]})
        agent.has_leader = lambda: True  # type: ignore[method-assign] - it never will
        with agent:
            yield agent

    def test_a_server_that_is_not_there(self, node: Node, lonely: ConsulAgent) -> None:
        server_address = f"{lonely.address.rpartition('.')[0]}.1"
        own = {"servers": [server_address], "is_server": False, "interface": "", "agent": lonely.http}
        node.write("etc/kube-provision/discovery.json", json.dumps(own))
        script = (
            f"{sys.executable} -m kube_provision_consul.node.agent wait --limit 2 --folder {node.root}/etc/kube-provision"
        )
        status = node.fail("discover", script, known={"discovery_address": server_address})
        assert status.diagnosis == "discovery-unreachable", status
        assert f"({server_address}:8301: Connection refused)" in status.cause

    def test_out_of_reach_for_want_of_a_route(self, node: Node) -> None:
        status = node.fail("discover", "exit 1", known={"discovery_address": "192.0.2.5"}, within=NO_NETWORK)
        assert status.diagnosis == "no-default-route"


class TestJoin:
    """kubeadm's own words, and a cluster that really answers."""

    OURS = create_pki("ours")

    def answered(self, node: Node, *, api: int = 200, theirs: Pki = OURS) -> NodeStatus:
        node.write("etc/kube-provision/kubeadm-join.yaml", "    token: 5xf60f.0123456789abcdef\n")
        with api_server(theirs, {"/api": api}) as (port, _):
            known = {"ca_pin": self.OURS.ca_pin, "proxy_port": port}
            return node.fail("join", f"echo '{NO_SIGNATURE}' >&2; exit 1", known=known)

    def test_a_token_that_this_cluster_does_not_accept_any_more(self, node: Node) -> None:
        status = self.answered(node, api=401)
        assert (status.diagnosis, status.replace) == ("expired-token", True)

    def test_a_token_that_nobody_has_signed_for_while_a_controller_manager_restarts(self, node: Node) -> None:
        status = self.answered(node)
        assert (status.diagnosis, status.replace) == ("unsigned-token", False)

    def test_a_token_that_another_cluster_never_knew(self, node: Node) -> None:
        status = self.answered(node, theirs=create_pki("theirs"))
        assert (status.diagnosis, status.replace) == ("wrong-authority", False)
