"""What stands between a client and its server, and cuts them off."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_CHUNK = 64


@dataclass
class Cutting:
    """Connections end once a client has sent so many bytes over one; the answer to what begins as `unanswered` is lost."""

    port: int
    """Where clients connect."""
    after: int | None = None
    unanswered: bytes = b""
    """Of one request; then it is empty again."""
    lost: int = 0
    """Answers so far."""
    _threads: list[threading.Thread] = field(default_factory=list)

    def between(self, client: socket.socket, server: socket.socket) -> None:
        loses = threading.Event()
        threads = [
            threading.Thread(target=self._there, args=(client, server, loses), daemon=True),
            threading.Thread(target=self._back, args=(server, client, loses), daemon=True),
        ]
        self._threads += threads
        for thread in threads:
            thread.start()

    def _there(self, client: socket.socket, server: socket.socket, loses: threading.Event) -> None:
        sent = 0
        with suppress(OSError):
            while data := client.recv(_CHUNK if self.after is not None else 65536):
                if self.unanswered and data.startswith(self.unanswered):
                    loses.set()
                    self.unanswered = b""
                if self.after is not None and sent + len(data) > self.after:
                    server.sendall(data[: self.after - sent])
                    break
                server.sendall(data)
                sent += len(data)
        _end(client, server)

    def _back(self, server: socket.socket, client: socket.socket, loses: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if loses.is_set():
                    self.lost += 1
                    break
                client.sendall(data)
        _end(client, server)

    def end(self) -> None:
        for thread in self._threads:
            thread.join(30)


@contextmanager
def cutting(port: int) -> Iterator[Cutting]:
    """Before the server at this port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        between = Cutting(listening.getsockname()[1])
        thread = threading.Thread(target=_accept, args=(listening, port, between), daemon=True)
        thread.start()
        try:
            yield between
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(30)


def _accept(listening: socket.socket, port: int, between: Cutting) -> None:
    while True:
        try:
            client, _ = listening.accept()
            server = socket.create_connection(("127.0.0.1", port), 60)
        except OSError:  # it is over
            return
        server.settimeout(None)
        between.between(client, server)


def _end(*sockets: socket.socket) -> None:
    for it in sockets:
        with suppress(OSError):
            it.shutdown(socket.SHUT_RDWR)
        it.close()
