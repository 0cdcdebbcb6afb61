"""Talking to one QEMU process over its QMP socket, in short bounded sessions: the socket serves one client at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Any

from .sockets import connect

TIMEOUT = 5.0
"""Seconds for one session's greeting, and for each answer: a process that works answers in milliseconds."""

_LONGEST_LINE = 1024 * 1024


class QmpError(Exception):
    """The process does not answer, or refuses the command."""


class Qmp:
    """A session. Made by `session`."""

    def __init__(self, connection: socket) -> None:
        """Wait for the greeting, which comes when no other client is served, and enter command mode."""
        self._connection = connection
        self._buffer = b""
        if "QMP" not in self._receive(time.monotonic() + TIMEOUT):
            raise QmpError("no greeting")
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: Any) -> Any:
        """The command's result. Raises QmpError when it is refused or when no answer comes in time."""
        self._connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        deadline = time.monotonic() + TIMEOUT
        while True:
            answer = self._receive(deadline)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise QmpError(f"{command}: {answer['error'].get('desc', 'refused')}")

    def monitor(self, line: str) -> str:
        """What the human monitor says to a command that QMP does not have."""
        return str(self.execute("human-monitor-command", **{"command-line": line})).strip()

    def _receive(self, deadline: float) -> dict[str, Any]:
        """The next line, be it an answer or an event."""
        while b"\n" not in self._buffer:
            self._connection.settimeout(max(0.01, deadline - time.monotonic()))
            chunk = self._connection.recv(65536)
            if not chunk or len(self._buffer) > _LONGEST_LINE:
                raise QmpError("the connection ended")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        try:
            answer = json.loads(line)
        except ValueError as problem:
            raise QmpError("it does not speak QMP") from problem
        return answer if isinstance(answer, dict) else {}


@contextmanager
def session(path: Path) -> Iterator[Qmp]:
    """A session in command mode. Every failure inside, the system's too, leaves it as a QmpError."""
    try:
        with connect(path, TIMEOUT) as connection:
            yield Qmp(connection)
    except OSError as problem:
        raise QmpError("it does not answer in time" if isinstance(problem, TimeoutError) else str(problem)) from problem
