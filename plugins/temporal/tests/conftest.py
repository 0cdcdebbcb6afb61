"""A Temporal server, a site with a vCenter and a Consul, and workers beside it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from servers.consul import ConsulServer
from servers.process import ServerProcess
from servers.simulator import Guest, Simulator
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError

from kube_provision_temporal import client as asking
from kube_provision_temporal.cli import main
from kube_provision_temporal.showing import Look
from kube_provision_temporal.values import Approval, Work

BIN = Path(sys.executable).parent
Answer = TypeVar("Answer")
LIMIT = 900.0
"""Seconds for what takes a few on a quiet machine."""

LONG_HISTORY = 100
"""Events from which on the server suggests to begin another history. Its own number is 4096."""

SLOW = 8.0
"""Seconds until a machine whose name has `slow` has an address."""


class Server:
    """A development server on loopback, whose database outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.database = folder, folder / "temporal.db"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [BIN / "temporal", "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", self.port]
        settings = ("--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={LONG_HISTORY}")
        words = [str(word) for word in (*command, "--db-filename", self.database, "--log-level", "error", *settings)]
        self.process = ServerProcess(words, self.folder / "server.log", {**os.environ, "HOME": str(self.folder)})
        self.process.wait_until(self._serves, LIMIT)

    def _serves(self) -> bool:
        try:
            self.ask(lambda client: client.count_workflows())
        except (RuntimeError, RPCError):  # it has a port before it has a namespace
            return False
        return True

    def stop(self) -> None:
        self.process.stop()

    def kept(self) -> bytes:
        """All that it keeps, as it lies in its database."""
        self.stop()
        kept = b"".join(path.read_bytes() for path in self.folder.glob("temporal.db*"))
        self.start()
        return kept

    def ask(self, question: Callable[[Client], Coroutine[Any, Any, Answer]]) -> Answer:
        async def asked() -> Answer:
            return await question(await Client.connect(self.address))

        return asyncio.run(asked())

    def history(self, name: str) -> WorkflowHistory:
        return self.ask(lambda client: client.get_workflow_handle(name).fetch_history())

    def events(self, name: str) -> list[str]:
        return [EventType.Name(it.event_type).removeprefix("EVENT_TYPE_") for it in self.history(name).events]


@dataclass
class Site:
    """Clusters of one site, with the folder that its workers read."""

    folder: Path
    server: Server
    vcenter: Simulator
    consul: str
    workers: list[ServerProcess] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ,
            "KUBE_PROVISION_VCENTER_PASSWORD": self.vcenter.password,
            "KUBE_PROVISION_STATE": str(self.folder / "state"),
            "TEMPORAL_ADDRESS": self.server.address,
            "NO_COLOR": "1",
        }

    def cluster(self, name: str, **settings: Any) -> str:
        """Its configuration; it has a master and a worker."""
        keys = {
            **self.vcenter.keys,
            "os": "ubuntu",
            "consul_ip": self.consul,
            "masters": 1,
            "workers": 1,
            **settings,
        }
        lines = [f"{key}: {json.dumps(value)}\n" for key, value in keys.items()]
        (self.folder / f"{name}.yml").write_text("".join(lines))
        return name

    def work(self, name: str, verb: str = "provision", *options: str, **more: Any) -> Work:
        """A run that ends when its machines have addresses."""
        waits = ("--no-wait",) if verb == "provision" else ()
        values = {"approval": Approval.NEVER, "retry_after": 0.5, **more}
        return Work(self.cluster(name), verb, [*waits, *options], **values)

    def worker(self, task_queue: str) -> ServerProcess:
        """One more, once it asks for work."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        command = [BIN / "kube-provision-temporal", "worker", "--task-queue", task_queue, "--configurations", self.folder]
        worker = ServerProcess([str(word) for word in command], log, self.env)
        self.workers.append(worker)
        worker.wait_until(lambda: "asks for work" in log.read_text(), LIMIT)
        return worker

    def begin(self, work: Work, task_queue: str = "site") -> bool:
        return self.server.ask(lambda client: asking.start(client, work, task_queue))

    def look(self, name: str) -> Look:
        return self.server.ask(lambda client: asking.look(client, name))

    def until(self, name: str, condition: Callable[[Look], bool], limit: float = LIMIT) -> Look:
        deadline, found = time.monotonic() + limit, None
        while time.monotonic() < deadline:
            with suppress(asking.UnreachableError):  # a worker that is busy, or is gone
                if condition(found := self.look(name)):
                    return found
            time.sleep(0.2)
        pytest.fail(f"it did not come to it: {found}")

    def ended(self, name: str, limit: float = LIMIT) -> Look:
        return self.until(name, lambda found: bool(found.ended), limit)

    def machines(self, name: str) -> list[str]:
        return [it for it in self.vcenter.machine_names() if it[2:].rpartition("-")[0] == name]

    def secrets(self) -> set[bytes]:
        """Of its clusters and of its own; more than a few, if there are clusters."""
        found = {*_secrets_of(self.folder / "state"), self.vcenter.password.encode()}
        assert len(found) > 20
        return found


def _secrets_of(state: Path) -> Iterator[bytes]:
    """Lines of private keys, and whatever else the folders keep to themselves."""
    for key in state.glob("*/pki/**/*.key"):
        yield from (line for line in key.read_bytes().splitlines() if len(line) > 20 and b"-----" not in line)
    for values in state.glob("*/secrets.json"):
        said = json.loads(values.read_text())
        yield from (str(value).encode() for value in (said["token"], said["certificate_key"], *said["generated"].values()))


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("temporal"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def site(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With a worker on the task queue `site`, for those that need none of their own."""
    consul = "127.88.0.201"
    with ExitStack() as stack:
        vcenter = stack.enter_context(Simulator(guests=(Guest("*slow*", address_delay=SLOW), Guest())))
        stack.enter_context(ConsulServer(consul))
        site = Site(tmp_path_factory.mktemp("site"), server, vcenter, consul)
        site.worker("site")
        yield site
        for worker in site.workers:
            worker.stop()


@pytest.fixture
def command(site: Site, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run `kube-provision-temporal` in this process."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", site.server.address)

    def run(*words: str) -> Ran:
        code = main(words)
        said = capfd.readouterr()
        return Ran(code, said.out, said.err)

    return run
