"""Servers that are none: who does not speak TLS, who is silent, who never comes to an end."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, suppress

import pytest

from kube_provision_consul.endpoint import ConsulEndpoint, Tls
from kube_provision_consul.http_interface import HttpInterface
from kube_provision_consul.node.closed import pem
from kube_provision_consul.seed import Seed, new_seed
from kube_provision_core import DiscoveryError, Endpoint

pytestmark = pytest.mark.integration

TIMEOUT = 10.0


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (b"", "refuses this host .*demands a client certificate"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS there"),
    ],
    ids=["hangs up", "plain HTTP"],
)
def test_who_does_not_speak_tls_is_told(given: bytes, line: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(given)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        to = over_tls(listener)
        with closing(HttpInterface(to, TIMEOUT)) as consul, pytest.raises(DiscoveryError, match=line):
            consul.send("GET", "/v1/kv/a")
        thread.join(20)


def test_who_is_silent_at_the_beginning_of_tls_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        closing(HttpInterface(over_tls(silent), 0.3)) as consul,
        pytest.raises(DiscoveryError, match=r"cannot be reached: .*timed out"),
    ):
        consul.send("GET", "/v1/kv/a")


def over_tls(listener: socket.socket) -> ConsulEndpoint:
    tls = Tls(pem("CERTIFICATE", Seed(new_seed()).authority))
    return ConsulEndpoint((Endpoint(*listener.getsockname()),), "dc1", tls=tls)


def test_who_drips_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while True:
                    connection.sendall(b"t")
                    time.sleep(0.05)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        to = ConsulEndpoint((Endpoint(*listener.getsockname()),), "dc1")
        with closing(HttpInterface(to, 0.5)) as consul, pytest.raises(DiscoveryError, match="cannot be reached: timed out"):
            consul.send("GET", "/v1/kv/a")
        assert time.monotonic() - began < 10
        thread.join(20)
        assert not thread.is_alive(), "what is left unread is not waited for"
