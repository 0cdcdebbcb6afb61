"""A real Consul for the driver, and the driver for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from servers.consul_agents import ConsulAgent, consul_server, unused_network

from kube_provision_consul.config import ConsulConfig
from kube_provision_consul.driver import Consul
from kube_provision_core import Cluster, Role

MakeConsul = Callable[..., Consul]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulAgent]:
    with consul_server(tmp_path_factory.mktemp("consul"), f"{unused_network()}.1") as agent:
        yield agent


@pytest.fixture
def make_consul() -> MakeConsul:
    def make(**keys: Any) -> Consul:
        return Consul(dict.fromkeys(Role, ConsulConfig(**keys)))

    return make


@pytest.fixture
def cluster(server: ConsulAgent, request: pytest.FixtureRequest) -> Cluster:
    """A cluster of its own for every test."""
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:60]
    return Cluster(name=name, id="id-1", kubernetes_version="1.36.4", names=frozenset(), discovery_address=server.address)
