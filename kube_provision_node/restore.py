"""How a master initialises a cluster that has been lost: from a snapshot of what its etcd held.

    python3 -m kube_provision_node.restore join

Of the machines of a cluster one alone is given this program, with the size and the digest of the snapshot. It listens where
the API server will, until the operator's host brings the authorities, and then the snapshot; only a certificate of the
cluster's own authority for the group `system:masters` may, which no cluster issues of itself. Then etcd's own tool makes a
member of it, and kubeadm initialises the cluster as it does any other. Each attempt begins from the snapshot, which is kept
until the cluster is recorded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any

from . import authorities, choreography, process
from .choreography import TURN_LIMIT, Choreography, GaveUpError, say
from .etcd import PEER_PORT
from .kept_files import replace_file
from .kubeadm import KubeadmError

log = logging.getLogger(__name__)

PATH = "/snapshot"
AUTHORITIES = "/authorities"
GROUP = "system:masters"
SERVER = "kube-provision"
"""By which whoever brings the snapshot knows this program from the API server, which comes after it."""
BUMP = 1_000_000_000
"""Revisions by which etcd goes ahead of the snapshot: more than any cluster writes between a backup and its loss, so that
nobody who has seen a later state takes the restored one for it."""
_CHUNK = 1 << 20
_SILENCE = 60.0
"""Seconds after which a connection that says nothing is let go of."""
_TOOL_LIMIT, _RESTORE_LIMIT = 120.0, 1800.0
_TOOL = "usr/local/bin/etcdutl"
"""In the image of etcd."""


class TransferError(Exception):
    """What was brought is not what was announced; says how."""


@dataclass(frozen=True)
class Snapshot:
    """What was announced of it, and where it lies once it is here."""

    path: Path
    size: int
    sha256: str

    def take(self, source: Any) -> None:
        """Read it whole, to the disk. Raises `TransferError`, or `OSError`, and leaves nothing behind."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                self._copy(source, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)

    def _copy(self, source: Any, file: Any) -> None:
        digest, left = hashlib.sha256(), self.size
        while left and (piece := source.read(min(left, _CHUNK))):
            file.write(piece)
            digest.update(piece)
            left -= len(piece)
        if left:
            raise TransferError(f"{left} of {self.size} bytes are missing")
        if digest.hexdigest() != self.sha256:
            raise TransferError("it is not the snapshot that was announced")


class Receiver(ThreadingHTTPServer):
    """Listens until the snapshot has come. Whoever connects is heard aside, so that nobody keeps others from it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, snapshot: Snapshot, folder: Path, context: ssl.SSLContext, address: tuple[str, int]) -> None:
        """`folder`: of the authorities."""
        self.folder = folder
        self.snapshot, self.transfer, self.come = snapshot, threading.Lock(), threading.Event()
        self._context = context
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket, Any]:
        """Who they are is asked by the handler, in a thread of its own."""
        connection, address = super().get_request()
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.warning("from %s: %s", client_address[0], sys.exc_info()[1])

    def wait(self, limit: float) -> None:
        """Raises `GaveUpError` after so many seconds."""
        serving = threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True)
        serving.start()
        try:
            if not self.come.wait(limit):
                raise GaveUpError(f"given up after {limit:.0f} s: nobody has brought the snapshot")
        finally:
            self.shutdown()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    server_version, sys_version = SERVER, ""
    timeout = _SILENCE

    def setup(self) -> None:
        super().setup()
        self.connection.do_handshake()

    def do_PUT(self) -> None:
        status, words = self._answer()
        self.send_response(status)
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words.encode())
        self.close_connection = True
        if status == 200 and self.path == PATH:
            self.wfile.flush()
            self.server.come.set()

    def _answer(self) -> tuple[int, str]:
        if not may_bring(self.connection.getpeercert()):
            return 403, f"only a certificate for the group {GROUP} may bring it"
        if self.path == AUTHORITIES:
            return self._keep_authorities()
        if self.path != PATH or self.headers.get("Content-Length") != str(self.server.snapshot.size):
            return 422, "another snapshot was announced"
        if not (self.server.folder / authorities.FILES[-1]).exists():
            return 422, "the authorities come first"
        if not self.server.transfer.acquire(blocking=False):
            return 409, "it is just being brought"
        try:
            say("receives the snapshot")
            self.server.snapshot.take(self.rfile)
        except (TransferError, OSError) as problem:
            log.warning("the snapshot has not come: %s", problem)
            return 422, str(problem)
        finally:
            self.server.transfer.release()
        return 200, ""

    def _keep_authorities(self) -> tuple[int, str]:
        brought = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for name in authorities.FILES:
            replace_file(self.server.folder / name, brought[name])
        return 200, ""

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
        log.info(format, *arguments)


def may_bring(certificate: Any) -> bool:
    """`certificate` was verified, as a client's; this is about whose it is. Kubelets have some of the same authority."""
    subject = certificate.get("subject", ()) if certificate else ()
    return any(pair == ("organizationName", GROUP) for names in subject for pair in names)


@dataclass(frozen=True)
class Restoration(Choreography):
    """Of a master whose cluster begins with a snapshot."""

    def initialise(self) -> str:
        if not self.snapshot.path.exists():
            say("waits for the snapshot to be brought")
            Receiver(self.snapshot, self.places.authorities, self.context, ("", self.node.api_port)).wait(TURN_LIMIT)
        return super().initialise()

    def fill_etcd(self, address: str) -> tuple[str, ...]:
        say("restores etcd from the snapshot")
        with self.tool() as tool:
            self.lay(tool, address)
        return ("DirAvailable--var-lib-etcd",)

    def forget_secrets(self) -> None:
        super().forget_secrets()
        shutil.rmtree(self.snapshot.path.parent, ignore_errors=True)

    @property
    def snapshot(self) -> Snapshot:
        announced = json.loads((self.places.config / "restore.json").read_text())
        return Snapshot(self.places.state / "restore/snapshot.db", announced["size"], announced["sha256"])

    @property
    def context(self) -> ssl.SSLContext:
        """For a server: it shows the certificate that was delivered, and lets in whom the authority has signed."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.places.authorities / "ca.crt"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.places.authorities / "receiver.pem")
        return context

    def lay(self, tool: Path, address: str) -> None:
        """Make a member of the snapshot where kubeadm's etcd will look for its own, in one step, whatever lies there."""
        data = self.places.root / "var/lib/etcd"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = data / ".restoring"
        for left in (fresh, data / "member"):
            shutil.rmtree(left, ignore_errors=True)
        peer = f"https://{address}:{PEER_PORT}"
        command = [
            *(str(tool), "snapshot", "restore", str(self.snapshot.path), "--data-dir", str(fresh)),
            *("--name", self.node.name, "--initial-cluster", f"{self.node.name}={peer}"),
            *("--initial-advertise-peer-urls", peer, "--bump-revision", str(BUMP), "--mark-compacted"),
        ]
        self.run(command, _RESTORE_LIMIT)
        os.sync()  # it is whole on the disk before it has the name that etcd looks for
        (fresh / "member").rename(data / "member")
        shutil.rmtree(fresh)

    @contextlib.contextmanager
    def tool(self) -> Iterator[Path]:
        """The one that belongs to the etcd which will run, out of its image."""
        mounted = self.places.state / "restore/image"
        mounted.mkdir(parents=True, exist_ok=True)
        ctr = ["ctr", "--namespace", "k8s.io", "images"]
        release = [*ctr, "unmount", "--rm", str(mounted)]
        process.run(release, timeout=_TOOL_LIMIT, own_group=False)  # what an attempt that was killed has left
        self.run([*ctr, "mount", self.image(), str(mounted)], _TOOL_LIMIT)
        try:
            yield mounted / _TOOL
        finally:
            process.run(release, timeout=_TOOL_LIMIT, own_group=False)

    def image(self) -> str:
        """Of the etcd that this kubeadm runs. Raises `KubeadmError`."""
        configuration = (self.places.config / "kubeadm-init.yaml").read_text()
        repository = re.search(r"^imageRepository: *[\"']?([^\s\"']+)", configuration, re.MULTILINE)
        more = ["--image-repository", repository.group(1)] if repository else []
        command = ["kubeadm", "config", "images", "list", "--kubernetes-version", self.kubeadm.version(), *more]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=_TOOL_LIMIT, check=False)
        except subprocess.TimeoutExpired as problem:
            raise KubeadmError(str(problem)) from problem
        found = next((line for line in said.stdout.split() if "/etcd:" in line), "")
        if not found:
            raise KubeadmError(f"kubeadm does not tell its image of etcd: {said.stderr.strip()}")
        return found

    def run(self, command: list[str], limit: float) -> None:
        """Raises `KubeadmError`."""
        outcome = process.run(command, timeout=limit, own_group=False)
        if not outcome.ok:
            raise KubeadmError(f"{Path(command[0]).name} {command[1]}: {outcome.failure}")


if __name__ == "__main__":
    sys.exit(choreography.main(Restoration))
