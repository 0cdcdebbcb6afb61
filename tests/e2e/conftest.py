"""A site: a vCenter, a Consul, an operator's folder, and the program as its user runs it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from machines.lab import Measured
from servers.consul import ConsulServer
from servers.living_masters import LivingMasters
from servers.simulator import FINISHED, STATUS_KEY, Guest, Simulator

from kube_provision_consul.seed import new_seed
from kube_provision_core.folder.store import Folder

_REAL = os.environ.get("KUBERNETES", "")
_REAL_ALONE = ["test_pods.py", "test_discovery_by_masters.py"]
collect_ignore = [] if ":" in _REAL else ["test_upgrade.py", "test_upgrade_kills.py"] if _REAL else _REAL_ALONE
"""Stand-ins run no pods, and judge nobody's rights by roles; of one real release there is nothing to upgrade to."""

PROGRAM = Path(sys.executable).with_name("kube-provision")
RUN_LIMIT = 180.0

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_networks = itertools.count(1)


def next_network() -> str:
    """Every site has a network of its own, so that sites can exist side by side. Its first three bytes."""
    return f"127.{10 + _worker}.{next(_networks)}"


@dataclass(frozen=True)
class Run:
    """What a command line did."""

    code: int
    output: str
    errors: str

    @property
    def data(self) -> Any:
        return json.loads(self.output)


@dataclass
class Site:
    folder: Path
    vcenter: Simulator
    network: str
    """First three bytes of the site's loopback network."""
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    consul: ConsulServer | None = None

    @contextmanager
    def discovery(self) -> Iterator[ConsulServer]:
        """A Consul where the discovery machine will be, with the seed that the configuration has for it."""
        seed = new_seed()
        self.environment["KUBE_PROVISION_CONSUL_SEED"] = seed
        with ConsulServer(self.server_address, seed=seed) as self.consul:
            yield self.consul

    @contextmanager
    def existing_consul(self) -> Iterator[str]:
        """The address of one that is open, and nobody's."""
        address = f"{self.network}.201"
        with ConsulServer(address) as self.consul:
            yield address

    @property
    def server_address(self) -> str:
        """Where the discovery machine of a cluster lives, and the Consul that stands in for the one on it."""
        return f"{self.network}.200"

    def master_address(self, index: int) -> str:
        return f"{self.network}.{10 + index}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def secrets(self) -> Folder:
        found = Folder.open(self.state, "prod")
        assert found
        return found

    def guests(self, publishes: Mapping[str, str] | None = None) -> tuple[Guest, ...]:
        published = dict(publishes or {})
        masters = [Guest(f"m-prod-{i}", (self.master_address(i),), publishes=published) for i in range(1, 6)]
        return (
            Guest("consul-*", (self.server_address,), publishes=published),
            *masters,
            Guest("*", network=f"{self.network}.64/26", publishes=published),
        )

    def nodes_finish(self) -> None:
        """From now on machines that boot tell that they have finished."""
        self.vcenter.set_guests(*self.guests({STATUS_KEY: FINISHED}))

    @property
    def config(self) -> Path:
        path = self.folder / "config.yml"
        lines = {**self.vcenter.keys, "os": "ubuntu", **self.settings}
        path.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in lines.items() if value is not None))
        return path

    def command(self, *arguments: str) -> list[str]:
        return [str(PROGRAM), *arguments, "--config", str(self.config), "--name", "prod", "--state", str(self.state)]

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "KUBE_PROVISION_VCENTER_PASSWORD": self.vcenter.password, "NO_COLOR": "1", **self.environment}

    def run(self, *arguments: str, answer: str | None = None) -> Run:
        done = subprocess.run(
            self.command(*arguments),
            env=self.env,
            input=answer,
            stdin=subprocess.DEVNULL if answer is None else None,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert self.vcenter.password not in done.stdout + done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    def provision(self, *arguments: str, masters: int = 3, workers: int = 3, wait: bool = False) -> Run:
        """`wait` for nodes: they finish only where `nodes_finish` was called before."""
        size = ("--masters", str(masters), "--workers", str(workers))
        return self.run(*size, "--output", "json", "--wait" if wait else "--no-wait", *arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def record_initialised(self) -> None:
        """Discovery learns what the first master would have written."""
        record = {"state": "initialised", "node": "m-prod-1", "cluster_id": self.secrets.cluster_id}
        assert self.consul
        self.consul.request("PUT", "/v1/kv/kube-provision/prod/record", json.dumps(record).encode())

    def alive(self, masters: int = 3, workers: int = 3) -> LivingMasters:
        """The cluster's masters, with the PKI of its folder."""
        return LivingMasters(
            self.secrets.pki,
            {f"m-prod-{i}": self.master_address(i) for i in range(1, masters + 1)},
            {f"w-prod-{i}": f"{self.network}.{64 + i}" for i in range(1, workers + 1)},
        )


def finish(process: subprocess.Popen[str], limit: float = RUN_LIMIT) -> Run:
    try:
        output, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        pytest.fail(f"the program did not end within {limit} s: {errors}")
    return Run(process.returncode, output, errors)


def interrupt(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)


def until(condition: Callable[[], bool], limit: float = 120.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Opens a site; arguments are the simulator's."""
    opened: list[Simulator] = []

    def opening(**simulator: Any) -> Site:
        network = next_network()
        vcenter = Simulator(**simulator)
        vcenter.__enter__()
        opened.append(vcenter)
        site = Site(tmp_path, vcenter, network)
        vcenter.set_guests(*site.guests())
        return site

    yield opening
    for vcenter in opened:
        vcenter.__exit__(None, None, None)


@pytest.fixture
def site(open_site: Callable[..., Site]) -> Iterator[Site]:
    """A site with a Consul where the discovery machine will be."""
    site = open_site()
    with site.discovery():
        yield site


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    return lambda name, value: request.node.user_properties.append((name, value))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have measured is told, whatever came of them."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            terminalreporter.write_line(f"{report.nodeid.rpartition('/')[2]}: {name}: {value}")
