"""A Consul of three agents, an API server's health page, and one cluster after another on them."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from servers.certificates import issue_certificate
from servers.consul_agents import ConsulAgent, consul_client, consul_server, unused_network
from servers.debian import install
from servers.nodes import Endpoint, Lab

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
    install("nginx", "libnginx-mod-stream")
    folder = tmp_path_factory.mktemp("endpoint")
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
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Endpoint(server.server_address[1], flag)
        server.shutdown()


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
