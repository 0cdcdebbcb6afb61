"""Who initialises a cluster and who joins where there is no service: real processes of nodes, on the API that they make."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from servers.consul_agents import eventually, unused_network
from servers.control_plane import Fault
from servers.discovery_api import DiscoveryApi, Store
from servers.nodes import STUB, Call, Endpoint, ended, health_page, put

from kube_provision_core import Role
from kube_provision_core.folder.pki import Pki
from kube_provision_core.testing import cluster_of, node_of
from kube_provision_kubernetes.config import KubernetesConfig
from kube_provision_kubernetes.driver import Kubernetes

pytestmark = pytest.mark.integration

SEED = "0123456789abcdef" * 4
# The programs as they are, but for the seconds that they pause and for their address: on loopback all routes have the same.
START = """
import sys
import discovery
from kube_provision_node import choreography
choreography._PAUSE, address = 0.1, sys.argv.pop(1)
discovery.own_address = lambda *_: address
sys.exit(choreography.main())
"""


@dataclass
class Site:
    """A cluster's machines, which are folders, and the API that its first master makes: it runs once kubeadm has ended."""

    folder: Path
    network: str
    endpoint: Endpoint
    pki: Pki
    api: DiscoveryApi
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def machine(self, number: int, role: Role = Role.MASTER) -> Path:
        """The disk of master or worker `number`; the first master may initialise."""
        name, carries = f"{role.value[0]}-prod-{number}", role is Role.MASTER and number == 1
        root = self.folder / name
        cluster = replace(
            cluster_of(name="prod", address=None if carries else self.api.address), id="id-1", ca=self.pki.ca.decode()
        )
        driver = Kubernetes(dict.fromkeys(Role, KubernetesConfig.model_validate({"kubernetes_seed": SEED})), self.api.port)
        for file in driver.render_boot(node_of(name, role, cluster="prod", carries_ca=carries), cluster).files:
            put(root / file.path.lstrip("/"), str(file.content))
        document = {
            "name": name,
            "role": role.value,
            "cluster": "prod",
            "cluster_id": "id-1",
            "may_init": carries,
            "ca_pin": self.pki.ca_pin,
            "proxy_port": self.endpoint.port,
            "api_port": self.api.port,
            "seed_manifests": [],
        }
        put(root / "etc/kube-provision/node.json", json.dumps(document))
        for verb in ("init", "join"):
            put(root / f"etc/kube-provision/kubeadm-{verb}.yaml", "address: @NODE_IP@\n")
        put(root / "var/lib/cloud/data/instance-id", f"{name}-first\n")
        for path, content in self.pki.files.items() if carries else ():
            put(root / "var/lib/kube-provision/ca" / path, content.decode())
        return root

    def start(self, root: Path, command: str = "join") -> subprocess.Popen[str]:
        role, number = root.name[0], int(root.name[-1])
        address = f"{self.network}.{number if role == 'm' else 100 + number}"
        process = subprocess.Popen(
            [sys.executable, "-c", START, address, command, "--root", str(root)],
            env=self._environment(root),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def make_api(self) -> None:
        """What kubeadm's stand-in leaves out: an administrator, and a server that knows nobody else."""
        pair = self.pki.administrator("kubernetes-admin", timedelta(hours=1))
        lines = [
            f"client-{what}-data: {b64encode(it).decode()}"
            for what, it in zip(WHAT, (pair.certificate, pair.key), strict=True)
        ]
        (self.folder / "m-prod-1/etc/kubernetes/admin.conf").write_text("\n".join(lines))
        self.api.start()

    @property
    def calls(self) -> list[Call]:
        """Of kubeadm, in the order in which they began."""
        log, found = self.folder / "calls", dict[tuple[str, str, int], Call]()
        counts: dict[tuple[str, str], int] = {}
        for line in log.read_text().splitlines() if log.exists() else ():
            node, verb, what, moment = line.split()
            counts[node, verb] = counts.get((node, verb), 0) + (what == "begin")
            key = (node, verb, counts[node, verb])
            begin = float(moment) if what == "begin" else found[key].begin
            found[key] = Call(node, verb, begin, float("inf") if what == "begin" else float(moment))
        return list(found.values())

    def record(self) -> Any:
        found = self.api.store.get("kube-provision", "configmaps", "record-prod")
        return json.loads(found["data"]["record"]) if found else None

    def registered(self) -> dict[str, str]:
        found = self.api.store.get("kube-provision", "configmaps", "masters-prod")
        return dict(found["data"]) if found else {}

    def _environment(self, root: Path) -> dict[str, str]:
        tools = self.folder / "bin"
        tools.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (tools / "kubeadm").symlink_to(STUB)
        modules = self.folder / "modules"
        modules.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (modules / "discovery").symlink_to(str(resources.files("kube_provision_kubernetes") / "node"))
        return os.environ | {
            "PATH": f"{tools}:/usr/sbin:{os.environ['PATH']}",
            "PYTHONPATH": str(modules),
            "STUB_ROOT": str(root),
            "STUB_ROLE": "master" if root.name[0] == "m" else "worker",
            "STUB_LOG": str(self.folder / "calls"),
            "STUB_READY": str(self.endpoint.flag),
        }


WHAT = ("certificate", "key")


@pytest.fixture
def site(tmp_path: Path, pki: Pki) -> Iterator[Site]:
    network = unused_network()
    server = DiscoveryApi(pki, f"{network}.1", Store())
    server.start()  # for a port
    server.stop()
    server.store.serve_at(server.address)
    with health_page(tmp_path) as endpoint:
        made = Site(tmp_path, network, endpoint, pki, server)
        yield made
        for process in made.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.communicate(timeout=60)
    server.stop()


def initialised(site: Site, times: int = 1) -> Callable[[], bool]:
    return lambda: [call.verb for call in site.calls if call.end < float("inf")].count("init") == times


def test_one_initialises_and_all_others_join_in_turn(site: Site) -> None:
    """All at once, as a run makes them."""
    roots = [*map(site.machine, (1, 2, 3)), site.machine(1, Role.WORKER)]
    processes = [site.start(root) for root in roots]
    assert eventually(initialised(site), timeout=60)
    assert not eventually(lambda: any(call.verb == "join" and call.node[0] == "m" for call in site.calls), timeout=2)
    site.make_api()
    assert [ended(process) for process in processes] == [(0, "")] * 4
    masters = [call for call in site.calls if call.node.startswith("m-")]
    assert [call.verb for call in masters] == ["init", "join", "join"]
    assert all(before.end <= after.begin for before, after in itertools.pairwise(masters))
    assert [call.verb for call in site.calls if call.node == "w-prod-1"] == ["join"]
    wanted = {"state": "initialised", "node": "m-prod-1", "instance_id": "m-prod-1-first", "cluster_id": "id-1"}
    assert site.record() == wanted
    assert site.registered() == {f"m-prod-{number}": f"{site.network}.{number}" for number in (1, 2, 3)}


def test_who_waits_says_for_what(site: Site) -> None:
    process = site.start(site.machine(2))
    time.sleep(4)
    process.terminate()
    said, _ = process.communicate(timeout=60)
    (doing,) = re.findall(r"^<6>now: (.*)$", said, re.MULTILINE)
    assert doing.startswith("waits for a master to initialise the cluster: no master tells of the cluster")


def test_an_initialiser_that_was_killed_begins_anew_and_nobody_has_joined(site: Site) -> None:
    first, second = site.machine(1), site.machine(2)
    hangs = first / "init-hangs"
    hangs.touch()
    process, waiting = site.start(first), site.start(second)
    assert eventually(lambda: bool(site.calls), timeout=60)
    os.killpg(process.pid, 9)
    process.communicate(timeout=60)
    hangs.unlink()
    again = site.start(first)
    assert eventually(initialised(site), timeout=60)
    site.make_api()
    assert [ended(it) for it in (again, waiting)] == [(0, "")] * 2
    assert [call.verb for call in site.calls] == ["init", "reset", "init", "join"]


def test_an_initialiser_killed_after_the_record_carries_on_without_a_reset(site: Site) -> None:
    first = site.machine(1)
    process = site.start(first)
    assert eventually(initialised(site), timeout=60)
    site.make_api()
    assert ended(process) == (0, "")
    for marker in ("member", "initialiser"):
        (first / "var/lib/kube-provision" / marker).unlink()
    site.api.stop()
    waiting = site.start(first)
    assert not eventually(lambda: waiting.poll() is not None, timeout=3), "the API may just be starting"
    site.api.start()
    assert ended(waiting) == (0, "")
    assert [call.verb for call in site.calls] == ["init"]


def test_a_cluster_whose_record_was_lost_is_recorded_again_by_any_master(site: Site) -> None:
    roots = [site.machine(1), site.machine(2)]
    processes = [site.start(root) for root in roots]
    assert eventually(initialised(site), timeout=60)
    site.make_api()
    assert [ended(process) for process in processes] == [(0, "")] * 2
    for name in ("record-prod", "masters-prod"):
        site.api.store.remove("kube-provision", "configmaps", name)
    document = json.loads((roots[1] / "etc/kube-provision/node.json").read_text())
    put(roots[1] / "etc/kube-provision/node.json", json.dumps(document | {"api_port": site.endpoint.port}))
    assert ended(site.start(roots[1], "record")) == (0, "")
    assert site.record() == {
        "state": "initialised",
        "node": "m-prod-2",
        "instance_id": "m-prod-2-first",
        "cluster_id": "id-1",
    }
    assert site.registered() == {"m-prod-2": f"{site.network}.2"}


def test_an_initialiser_that_was_killed_while_it_told_of_the_cluster_does_not_undo_it(site: Site) -> None:
    first = site.machine(1)
    process = site.start(first)
    assert eventually(initialised(site), timeout=60)
    site.api.faults.append(Fault(delay=60, path="/api/v1/namespaces/kube-provision/configmaps"))
    site.make_api()
    note = first / "var/lib/kube-provision/discovery-carrier.json"
    assert eventually(lambda: json.loads(note.read_text())["stage"] == "telling", timeout=60)
    os.killpg(process.pid, 9)
    process.communicate(timeout=60)
    site.api.faults.clear()
    assert site.record() is None
    assert ended(site.start(first)) == (0, "")
    assert [call.verb for call in site.calls] == ["init"]
    assert site.record()["state"] == "initialised"
