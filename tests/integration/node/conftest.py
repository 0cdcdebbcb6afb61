"""A Consul of three agents, an API server's health page, and one cluster after another on them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.consul_agents import ConsulAgent, consul_client, consul_server, unused_network
from servers.debian import install
from servers.nodes import Endpoint, Lab, health_page

from kube_provision_core.pki import Pki, create_pki


@pytest.fixture(scope="session")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ConsulAgent]]:
    """Three agents that gossip; the first of them is the server."""
    folder, network = tmp_path_factory.mktemp("consul"), unused_network()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(consul_server(folder / "1", f"{network}.1", "consul-1"))
        clients = [consul_client(folder / str(n), f"{network}.{n}", server.address, f"consul-{n}") for n in (2, 3)]
        yield [server, *(stack.enter_context(client) for client in clients)]


@pytest.fixture(scope="session")
def pki() -> Pki:
    return create_pki("race")


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """What stands for localhost:8443 on every node."""
    install("nginx", "libnginx-mod-stream")
    with health_page(tmp_path_factory.mktemp("endpoint")) as page:
        yield page


@pytest.fixture
def labs(tmp_path: Path, agents: list[ConsulAgent], endpoint: Endpoint, pki: Pki) -> Iterator[Iterator[Lab]]:
    """One fresh cluster after another."""
    made: list[Lab] = []

    def make() -> Iterator[Lab]:
        for number in range(1, 100):
            endpoint.flag.unlink(missing_ok=True)
            name = f"{tmp_path.name.replace('_', '-')[-30:]}-{number}"
            folder = tmp_path / name
            folder.mkdir()
            made.append(Lab(folder, name, agents, endpoint, pki))
            yield made[-1]

    yield make()
    for lab in made:
        lab.close()


@pytest.fixture
def lab(labs: Iterator[Lab]) -> Lab:
    return next(labs)
