"""Nodes that are folders: the real programs of a node on a real Consul, with a stand-in for kubeadm."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path

from servers.certificates import issue_certificate
from servers.consul_agents import ConsulAgent

from kube_provision_core.folder.pki import Pki

STUB = Path(__file__).parent / "kubeadm-stub"

# The programs as they are, but for the seconds that they pause and for their address: on loopback all routes have the same.
START = """
import sys
import discovery
from kube_provision_node import choreography
choreography._PAUSE, discovery._LOCK_DELAY, address = 0.1, "1ms", sys.argv.pop(1)
discovery.own_address = lambda *_: address
sys.exit(choreography.main())
"""


@dataclass(frozen=True)
class Call:
    """One call of the stand-in for kubeadm."""

    node: str
    verb: str
    begin: float
    end: float
    """Infinite for one that was killed."""


@dataclass
class Endpoint:
    """An API server as far as its health page goes: ready when `flag` exists."""

    port: int
    flag: Path


@contextlib.contextmanager
def health_page(folder: Path) -> Iterator[Endpoint]:
    """/readyz over HTTPS on 127.0.0.1, with a certificate that nobody knows."""
    flag = folder / "ready"
    certificate = issue_certificate(folder)

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/readyz" and flag.exists() else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield Endpoint(server.server_address[1], flag)
        server.shutdown()


@dataclass
class Machine:
    """One node of a cluster under test."""

    root: Path
    agent: ConsulAgent
    environment: dict[str, str]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.root.name

    def start(self, command: str = "join") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", START, self.agent.address, command, "--root", str(self.root)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def run(self, command: str = "join") -> tuple[int, str]:
        """Exit code and the last line of stderr."""
        return ended(self.start(command))

    def kill(self) -> None:
        """End what was started last, and all that it has started, without a chance to tidy up."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.processes[-1].pid, signal.SIGKILL)
        self.processes[-1].communicate(timeout=60)

    def has(self, path: str) -> bool:
        return (self.root / path).exists()

    def touch(self, path: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return file


@dataclass
class Lab:
    """One cluster: what its nodes share."""

    folder: Path
    name: str
    agents: list[ConsulAgent]
    endpoint: Endpoint
    pki: Pki
    machines: list[Machine] = field(default_factory=list)

    def machine(self, number: int, *, role: str = "master", may_init: bool = False, cluster_id: str = "id-1") -> Machine:
        """Node `number`, counted from 1, on Consul agent `number`."""
        root = self.folder / f"{role[0]}-{self.name}-{number}"
        document = {
            "name": root.name,
            "role": role,
            "cluster": self.name,
            "cluster_id": cluster_id,
            "may_init": may_init,
            "ca_pin": self.pki.ca_pin,
            "proxy_port": self.endpoint.port,
            "api_port": self.endpoint.port,
            "seed_manifests": ["https://example.org/network.yaml"],
        }
        agent = self.agents[number - 1]
        own = {"servers": [agent.address], "is_server": False, "interface": "", "agent": agent.http}
        put(root / "etc/kube-provision/node.json", json.dumps(document))
        put(root / "etc/kube-provision/discovery.json", json.dumps(own))
        for verb in ("init", "join"):
            put(root / f"etc/kube-provision/kubeadm-{verb}.yaml", "address: @NODE_IP@\nversion: @KUBERNETES_VERSION@\n")
        put(root / "var/lib/cloud/data/instance-id", f"{root.name}-first\n")
        if may_init:
            for name, content in self.pki.files.items():
                put(root / "var/lib/kube-provision/ca" / name, content.decode())
        machine = Machine(root, agent, self._environment(root, role))
        self.machines.append(machine)
        return machine

    def calls(self, *verbs: str) -> list[Call]:
        """Calls of kubeadm in the order in which they began."""
        log = self.folder / "calls"
        found: list[Call] = []
        for line in log.read_text().splitlines() if log.exists() else ():
            node, verb, what, time = line.split()
            if verb == "apply":
                continue
            if what == "begin":
                found.append(Call(node, verb, float(time), float("inf")))
            else:
                last = max(i for i, call in enumerate(found) if (call.node, call.verb) == (node, verb))
                found[last] = Call(node, verb, found[last].begin, float(time))
        return [call for call in found if not verbs or call.verb in verbs]

    def record(self) -> dict[str, str] | None:
        found: dict[str, str] | None = self.agents[0].get(f"kube-provision/{self.name}/record")
        return found

    def applied(self) -> list[tuple[str, str]]:
        """Node and manifest of every call of kubectl."""
        lines = [line.split() for line in (self.folder / "calls").read_text().splitlines()]
        return [(node, manifest) for node, verb, manifest, _ in lines if verb == "apply"]

    def registered(self) -> set[str]:
        """Consul nodes that offer the cluster's API."""
        return {entry["Node"] for entry in self.agents[0].ask("GET", f"/v1/catalog/service/kube-provision-{self.name}")}

    def _environment(self, root: Path, role: str) -> dict[str, str]:
        tools = self.folder / "bin"
        tools.mkdir(exist_ok=True)
        for tool in ("kubeadm", "kubectl"):
            if not (tools / tool).exists():
                (tools / tool).symlink_to(STUB)
        return os.environ | {
            "PATH": f"{tools}:/usr/sbin:{os.environ['PATH']}",
            "PYTHONPATH": str(with_discovery(root)),
            "STUB_ROOT": str(root),
            "STUB_ROLE": role,
            "STUB_LOG": str(self.folder / "calls"),
            "STUB_READY": str(self.endpoint.flag),
        }

    def close(self) -> None:
        for machine in self.machines:
            for process in machine.processes:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate(timeout=60)
        service = f"kube-provision-{self.name}"
        for agent in self.agents:  # else it would go on to look after the masters of clusters that are over
            if service in agent.ask("GET", "/v1/agent/services"):
                agent.ask("PUT", f"/v1/agent/service/deregister/{service}")


def with_discovery(root: Path) -> Path:
    """A folder from which `discovery` is imported: Consul's, as on a node."""
    folder = root / "usr/local/lib/kube-provision"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "discovery").symlink_to(str(resources.files("kube_provision_consul") / "node"))
    return folder


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors.strip().rpartition("\n")[2]


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
