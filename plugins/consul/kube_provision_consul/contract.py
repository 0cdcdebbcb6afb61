"""The driver and what it puts on nodes keep every promise that kube-provision relies on, with a Consul of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from kube_provision_consul.config import ConsulConfig, new_gossip_key
from kube_provision_consul.driver import Consul
from kube_provision_core import Cluster, Role
from kube_provision_core.testing import DiscoveryContract, client_of, cluster_of

PORT = 8500
KEY = new_gossip_key()


@pytest.fixture(scope="module")
def consul_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server on loopback that ends with the checks."""
    program = shutil.which("consul")
    if program is None or sys.platform != "linux":
        pytest.skip("there is no `consul` here, which would be started on loopback")
    address = f"127.98.{os.getpid() % 250}.{os.getpid() // 250 % 250 + 1}"
    options = (f"-bind={address}", f"-client={address}", f"-node-meta=kube-provision-cluster-id:{cluster_of().id}")
    with subprocess.Popen(
        [program, "agent", "-dev", *options, "-dns-port=-1"],
        cwd=tmp_path_factory.mktemp("consul"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            _wait(address)
            yield address
        finally:
            server.kill()


class TestConsul(DiscoveryContract):
    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return (KEY,)

    @pytest.fixture
    def make_driver(self) -> Callable[[], Consul]:
        config = ConsulConfig.model_validate({"consul_encrypt": KEY})
        return lambda: Consul(dict.fromkeys(Role, config))

    @pytest.fixture
    def live_cluster(self, consul_address: str) -> Cluster:
        return cluster_of(name=f"contract-{uuid.uuid4().hex[:8]}", address=consul_address)

    @pytest.fixture
    def make_client(self, make_driver: Callable[[], Consul], tmp_path: Path) -> Callable[[Mapping[str, Any]], Any]:
        """The server stands for the agents of all nodes."""

        def make(node: Mapping[str, Any]) -> Any:
            client = client_of(make_driver(), node, tmp_path)
            return replace(client, agent=replace(client.agent, address=f"{node['discovery_address']}:{PORT}"))

        return make

    @pytest.fixture
    def write_record(self, consul_address: str) -> Callable[[Cluster, str], None]:
        def write(cluster: Cluster, text: str) -> None:
            assert _ask(consul_address, "PUT", f"/v1/kv/kube-provision/{cluster.name}/record", text) is True

        return write


def _wait(address: str, seconds: float = 30.0) -> None:
    """Until the server leads, and counts itself as healthy: a session needs that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError, HTTPException, ValueError):
            if any(check["CheckID"] == "serfHealth" for check in _ask(address, "GET", "/v1/health/state/passing")):
                return
        time.sleep(0.1)
    pytest.fail(f"the Consul that was started on {address} does not lead within {seconds:.0f} s")


def _ask(address: str, method: str, path: str, body: str | None = None) -> Any:
    connection = HTTPConnection(address, PORT, timeout=10)
    try:
        connection.request(method, path, body)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
