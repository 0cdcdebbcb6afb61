"""A site without a way to the internet: a network, a mirror, a hypervisor, and an operator who has the program.

with Lab(tmp_path) as lab:
    run = lab.provision("--wait")
    lab.hosts["w-prod-1"].kill()
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from machines.hypervisor import Hypervisor
from machines.image import BOOKWORM, RELEASES, TRIXIE, Image, image
from machines.kubernetes import Kubernetes, kubernetes, successors
from machines.network import Network
from machines.nspawn import Host
from machines.packages import consul_package
from machines.repository import TOOLS, Mirror, kubernetes_of
from servers.debian import install

from kube_provision_core.cluster.api import ControlPlane
from kube_provision_core.folder.store import Folder

PROGRAM = Path(sys.executable).with_name("kube-provision")
TESTS = Path(__file__).parents[1]
CLUSTER = "prod"
Measured = Callable[[str, object], None]
"""Notes what a test has measured, to be told at the end."""
DUAL_STACK = {"pod_subnet": "10.244.0.0/16,fd00:10:244::/56", "service_subnet": "10.96.0.0/12,fd00:10:96::/112"}
"""Settings of a cluster whose site has both families."""
RUN_LIMIT = 1200.0
SEED_MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: seeded, namespace: kube-system}
data: {by: the seed manifest}
"""


@dataclass(frozen=True)
class Run:
    """What a command line did."""

    code: int
    output: str
    errors: str

    @property
    def data(self) -> Any:
        return json.loads(self.output)

    @property
    def states(self) -> dict[str, str]:
        """How each node came out."""
        return {node["name"]: node["state"] for node in self.data["nodes"]}


class Lab:
    """Open while the context is."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any] | None = None,
        bookworm: Collection[str] = (),
        *,
        upgrades: bool = False,
    ) -> None:
        """Hosts named in `bookworm` run Debian 12, all others Debian 13. With `upgrades` there is more than one release."""
        self.folder = folder
        self.name = CLUSTER
        """Of the cluster that is worked on."""
        self.settings = dict(settings or {})
        """Keys of the configuration besides those that the site needs."""
        self._bookworm = frozenset(bookworm)
        self._upgrades = upgrades
        self.successors: list[Kubernetes] = []
        """What its cluster may be upgraded to."""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """What comes from the internet is fetched first: from the site's own network no way leads there."""
        install(*TOOLS)
        self._consul = consul_package()
        packages = self.folder / "packages"
        packages.mkdir()
        self.kubernetes = kubernetes(packages, upgrades=self._upgrades)
        """What the configuration asks for."""
        if self._upgrades:
            self.successors = successors(packages)
            self.settings["kubernetes_version"] = self.kubernetes.version
        self._images = {release: replace(image(release), layer=self.kubernetes.layer) for release in RELEASES}
        with ExitStack() as stack:
            self.network = stack.enter_context(Network(ipv6=":" in self.settings.get("pod_subnet", "")))
            self.mirror = stack.enter_context(Mirror(self.folder, Network.gateway))
            self._fill(self.mirror, packages)
            self._start_target(stack)
            (self.folder / "seed.yaml").write_text(SEED_MANIFEST)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def image_of(self, name: str) -> Image:
        return self._images[BOOKWORM if name in self._bookworm else TRIXIE]

    def _fill(self, mirror: Mirror, packages: Path) -> None:
        releases = [self.kubernetes, *self.successors]
        for minor in dict.fromkeys(it.minor for it in releases):
            shared = {path.name: path for it in releases if it.minor == minor for path in it.packages}
            mirror.add_kubernetes(shared.values(), minor)
        more = self._more_packages(packages)
        for release, template in self._images.items():
            mirror.add_suite("hashicorp", release, "main", [self._consul])
            mirror.add_suite("debian", release, "main", [*template.left_out, *more])
            mirror.add_suite("debian", f"{release}-updates", "main", [])
            mirror.add_suite("debian-security", f"{release}-security", "main", [])

    def _more_packages(self, folder: Path) -> list[Path]:
        """What the target's guests need besides; made in `folder`."""
        return []

    # --- the program --------------------------------------------------------------------------------------------------

    @property
    def config(self) -> Path:
        """As the operator of such a site writes it."""
        path = self.folder / "config.yml"
        mirrors = {"kubernetes": kubernetes_of(self.kubernetes.version), "consul": "hashicorp", "os": "debian"}
        keys = {
            **self.target,
            "os": "debian",
            "package_repositories": {
                component: {"url": self.mirror.url(name), "key": self.mirror.key} for component, name in mirrors.items()
            },
            "seed_manifests": [str(self.folder / "seed.yaml"), *map(str, self.kubernetes.manifests)],
            **self.kubernetes.settings,
        } | self.settings
        path.write_text(json.dumps(keys))
        return path

    def want(self, release: Kubernetes) -> None:
        """From now on the configuration asks for that one, as an operator changes it for an upgrade."""
        self.kubernetes = replace(self.kubernetes, version=release.version, settings=release.settings)
        self.settings["kubernetes_version"] = release.version

    @property
    def target(self) -> dict[str, Any]:
        """Where machines are made, in the words of the configuration."""
        return {"target": "nspawn", "hypervisor_socket": self.hypervisor.socket}

    def _start_target(self, stack: ExitStack) -> None:
        self.hypervisor = stack.enter_context(Hypervisor(self.folder, self.network, self.image_of))

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def secrets(self) -> Folder:
        found = Folder.open(self.state, self.name)
        assert found
        return found

    def command(self, *arguments: str) -> list[str]:
        named = ["--config", str(self.config), "--name", self.name, "--state", str(self.state)]
        return [str(PROGRAM), *arguments, *named]

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": f"{TESTS}:{TESTS / 'machines/site'}", "NO_COLOR": "1"}

    def run(self, *arguments: str, limit: float = RUN_LIMIT) -> Run:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def provision(self, *arguments: str, masters: int = 3, workers: int = 2) -> Run:
        return self.run("--masters", str(masters), "--workers", str(workers), "--output", "json", *arguments)

    def made(self) -> Run:
        """The run that makes its cluster. Raises `AssertionError`, with what hosts say, where that does not go well."""
        run = self.provision("--wait")
        assert run.code == 0, run.errors + "\n".join(f"{name}:\n{it.journal(lines=25)}" for name, it in self.hosts.items())
        return run

    # --- what came of it ----------------------------------------------------------------------------------------------

    @property
    def hosts(self) -> dict[str, Host]:
        return self.hypervisor.hosts

    @property
    def masters(self) -> dict[str, Host]:
        return {name: host for name, host in self.hosts.items() if name.startswith("m-")}

    @property
    def workers(self) -> dict[str, Host]:
        return {name: host for name, host in self.hosts.items() if name.startswith("w-")}

    @property
    def discovery(self) -> Host:
        return next(host for name, host in self.hosts.items() if name.startswith("consul-"))

    def control_plane(self) -> ControlPlane:
        """The cluster, as its operator asks it."""
        return ControlPlane([host.address for host in self.masters.values() if host.on], self.secrets.pki)

    @property
    def administrator(self) -> bytes:
        """Certificate and key of the cluster's kubeconfig."""
        user = yaml.safe_load((self.state / self.name / "kubeconfig").read_text())["users"][0]["user"]
        return b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"])

    def ready(self) -> set[str]:
        """Names of the nodes that the cluster counts as ready."""
        with self.control_plane() as api:
            return {node.name for node in api.nodes() if node.ready}

    def stages(self) -> dict[str, str]:
        """What each host last published."""
        told = {name: host.read_channel("status.json") or {} for name, host in self.hosts.items()}
        return {name: f"{status.get('stage')} {status.get('state')}" for name, status in told.items()}

    def calls(self, verb: str, *, failed: bool = False) -> list[tuple[str, float, float]]:
        """Calls of kubeadm that succeeded, or also those that did not: host, begin, end; by their beginning."""
        found = []
        begins: dict[tuple[str, int], float] = {}
        for name, event in self.events(verb):
            if "begin" in event:
                begins[name, event["pid"]] = event["begin"]
            elif event["ok"] or failed:
                found.append((name, begins[name, event["pid"]], event["end"]))
        return sorted(found, key=lambda call: call[1])

    def events(self, verb: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Begins and ends of calls of kubeadm, as each host has noted them."""
        for name, host in self.hosts.items():
            for line in host.run("sh", "-c", "cat /var/log/kubeadm-calls 2>/dev/null || true").splitlines():
                event = json.loads(line)
                if event["verb"] == verb:
                    yield name, event


def until(condition: Callable[[], bool], limit: float, what: str) -> float:
    """Seconds that it took to come true."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < limit, f"{what}: not in {limit:.0f} s"
        time.sleep(0.1)
    return time.monotonic() - begin
