"""A Consul of three agents, an API server's health page, and one cluster after another on them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from servers.consul_agents import ConsulAgent, consul_client, consul_server, unused_network
from servers.debian import install
from servers.nodes import Endpoint, Lab, health_page

from kube_provision_core.folder.pki import Pki
from kube_provision_core.folder.x509 import sign_client

LANES = 4


@pytest.fixture(scope="session")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ConsulAgent]]:
    """Three agents that gossip; the first of them is the server."""
    folder, network = tmp_path_factory.mktemp("consul"), unused_network()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(consul_server(folder / "1", f"{network}.1", "consul-1"))
        clients = [consul_client(folder / str(n), f"{network}.{n}", server.address, f"consul-{n}") for n in (2, 3)]
        yield [server, *(stack.enter_context(client) for client in clients)]


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """What stands for localhost:8443 on every node."""
    install("nginx", "libnginx-mod-stream")
    with health_page(tmp_path_factory.mktemp("endpoint")) as page:
        yield page


@pytest.fixture
def certificates(pki: Pki, tmp_path: Path) -> Path:
    """What kubeadm has put there before it announces a member of etcd."""
    credential = sign_client(pki.authority("etcd/ca"), "kube-apiserver-etcd-client", None, timedelta(days=1))
    (tmp_path / "etcd").mkdir()
    (tmp_path / "etcd/ca.crt").write_bytes(pki.etcd_ca)
    (tmp_path / "apiserver-etcd-client.crt").write_bytes(credential.certificate)
    (tmp_path / "apiserver-etcd-client.key").write_bytes(credential.key)
    return tmp_path


@pytest.fixture
def labs(tmp_path: Path, agents: list[ConsulAgent], endpoint: Endpoint, pki: Pki) -> Iterator[Iterator[Lab]]:
    """One fresh cluster after another."""
    with contextlib.closing(_labs(tmp_path, agents, endpoint, pki)) as labs:
        yield labs


def _labs(folder: Path, agents: list[ConsulAgent], endpoint: Endpoint, pki: Pki) -> Generator[Lab, None, None]:
    for number in itertools.count(1):
        endpoint.flag.unlink(missing_ok=True)
        name = f"{folder.name.replace('_', '-')[-30:]}-{number}"
        (folder / name).mkdir()
        with contextlib.closing(Lab(folder / name, name, agents, endpoint, pki)) as lab:
            yield lab


@pytest.fixture
def lanes(tmp_path: Path, agents: list[ConsulAgent], pki: Pki) -> Iterator[list[Iterator[Lab]]]:
    """Several times one fresh cluster after another, side by side on one Consul."""
    with contextlib.ExitStack() as stack:
        lanes: list[Iterator[Lab]] = []
        for number in range(LANES):
            folder = tmp_path / f"{tmp_path.name[-20:]}-{number}"
            folder.mkdir()
            page = stack.enter_context(health_page(folder))
            lanes.append(stack.enter_context(contextlib.closing(_labs(folder, agents, page, pki))))
        yield lanes


@pytest.fixture
def lab(labs: Iterator[Lab]) -> Lab:
    return next(labs)
