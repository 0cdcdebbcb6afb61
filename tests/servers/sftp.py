"""OpenSSH's own server, one process for each connection, on a port of loopback that is found free."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CONFIGURATION = """
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
StrictModes no
UsePAM no
PermitRootLogin yes
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class SftpServer:
    port: int
    key: Path
    """Opens it for the user who runs this."""


@contextmanager
def sftp_server(folder: Path) -> Iterator[SftpServer]:
    """`folder` holds its keys."""
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, timeout=60)
    (folder / "sshd_config").write_text(_CONFIGURATION.format(folder=folder))
    begun: list[subprocess.Popen[bytes]] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, folder / "sshd_config", begun), daemon=True)
        thread.start()
        try:
            yield SftpServer(listening.getsockname()[1], folder / "user")
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(30)
            for process in begun:
                process.kill()
                process.wait(30)


def _serve(listening: socket.socket, configuration: Path, begun: list[subprocess.Popen[bytes]]) -> None:
    command = ["/usr/sbin/sshd", "-i", "-f", str(configuration)]
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:  # it is over
            return
        with connection:
            begun.append(
                subprocess.Popen(command, stdin=connection.fileno(), stdout=connection.fileno(), stderr=subprocess.DEVNULL)
            )
