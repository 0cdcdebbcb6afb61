"""A backup, tried: the etcd of this host is started on its snapshot, and asked what is in there."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ..cluster.https_client import HttpsClient
from ..contract.errors import BackupError, ControlPlaneError
from ..contract.kept_files import create_file, telling_os_errors
from ..folder.pki import PKI_FILES, Pki
from ..folder.x509 import sign_server
from .archive import Archive
from .scratch import Scratch, scratch

HOST = "127.0.0.1"
LIFETIME = timedelta(days=1)
"""Of the certificates of a trial."""

RESTORING = 3600.0
STARTING = 600.0
"""Seconds that etcd's tool and etcd may take, of which a slow disk needs many for gigabytes."""
POLL = 0.2

_OBJECTS = {"key": b64encode(b"/registry/").decode(), "range_end": b64encode(b"/registry0").decode(), "count_only": True}
"""All that an API server keeps."""


@dataclass(frozen=True)
class Tried:
    """What an etcd says of a snapshot."""

    objects: int
    """Of Kubernetes."""
    revision: int
    etcd: str
    """Version of the etcd that was asked."""


def try_backup(archive: Archive) -> Tried:
    """Raises `BackupError` where this host has no etcd that is new enough, or where that does not start on the snapshot.

    The snapshot lies in clear in a temporary folder meanwhile, for this user alone; it goes, and the etcd does, also where
    this process is killed. The etcd listens on loopback, and lets in whoever has a certificate of the cluster's authority.
    """
    pki, server, tool = _pki(archive.folder), _program("etcd"), _tool()
    version = _version(server)
    archive.about.refuse_newer(etcd=version)
    with scratch() as place:
        with _reserved_ports(2) as ports:  # until the etcd needs them: restoring takes its time
            trial = _Trial(place, pki, server, *ports)
            trial.restore(tool, archive)
        with trial.running() as client:
            tried = _ask(client, version)
    if tried.revision < archive.end.revision:
        raise BackupError(f"its snapshot ends at revision {tried.revision}, and it was made at {archive.end.revision}")
    return tried


class _Trial:
    def __init__(self, place: Scratch, pki: Pki, server: str, client_port: int, peer_port: int) -> None:
        self._folder, self._group, self._pki, self._server = place.folder, place.group, pki, server
        self._client_port, self._peer_port = client_port, peer_port

    @property
    def _member(self) -> Sequence[str]:
        """As the tool and the server are both told it."""
        peer = f"https://{HOST}:{self._peer_port}"
        data = self._folder / "data"
        return (
            "--name=trial",
            f"--data-dir={data}",
            f"--initial-cluster=trial={peer}",
            f"--initial-advertise-peer-urls={peer}",
        )

    def restore(self, tool: Sequence[str], archive: Archive) -> None:
        path = self._folder / "snapshot.db"
        with (
            telling_os_errors(f"its snapshot cannot be written to {self._folder} (TMPDIR)", BackupError),
            path.open("xb") as file,
        ):
            file.writelines(archive.pieces())
        done = _run([*tool, "snapshot", "restore", str(path), *self._member], RESTORING, self._group)
        path.unlink()
        if done.returncode != 0:
            raise BackupError(f"{tool[0]} makes no etcd of its snapshot: {_last(done.stderr)}")

    @contextmanager
    def running(self) -> Iterator[HttpsClient]:
        log = self._folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._command(), env=_environment(), stdout=output, stderr=output, process_group=self._group
            )
        client = self._client()
        try:
            _await(process, client, log)
            yield client
        finally:
            client.close()
            process.kill()
            process.wait()

    def _command(self) -> Sequence[str]:
        pair = sign_server(self._pki.authority("etcd/ca"), "trial", [HOST], LIFETIME)
        files = {"ca.crt": self._pki.etcd_ca, "server.crt": pair.certificate, "server.key": pair.key}
        for name, content in files.items():
            create_file(self._folder / name, content)
        client = f"https://{HOST}:{self._client_port}"
        options = {"listen-client-urls": client, "advertise-client-urls": client}
        options["listen-peer-urls"] = f"https://{HOST}:{self._peer_port}"
        for prefix in ("", "peer-"):
            options |= {
                f"{prefix}cert-file": str(self._folder / "server.crt"),
                f"{prefix}key-file": str(self._folder / "server.key"),
                f"{prefix}trusted-ca-file": str(self._folder / "ca.crt"),
                f"{prefix}client-cert-auth": "true",
            }
        return [self._server, *self._member, *(f"--{name}={value}" for name, value in options.items())]

    def _client(self) -> HttpsClient:
        credential = self._pki.etcd_client("kube-provision", LIFETIME)
        return HttpsClient([HOST], self._client_port, self._pki.etcd_ca, credential, timeout=60.0)


def _ask(client: HttpsClient, version: str) -> Tried:
    answer = client.call("POST", "/v3/kv/range", _OBJECTS)
    try:
        return Tried(int(answer.document.get("count", 0)), int(answer.document["header"]["revision"]), version)
    except (LookupError, TypeError, ValueError) as problem:
        raise BackupError(f"etcd does not say what is in its snapshot ({answer.status}: {answer.reason})") from problem


def _await(process: subprocess.Popen[bytes], client: HttpsClient, log: Path) -> None:
    deadline = time.monotonic() + STARTING
    while not _answers(client):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BackupError(f"etcd does not start on its snapshot: {_last(log.read_text(errors='replace'))}")
        time.sleep(POLL)


def _answers(client: HttpsClient) -> bool:
    try:
        return client.call_at(HOST, "POST", "/v3/kv/range", _OBJECTS).status == 200
    except ControlPlaneError:
        return False


def _pki(folder: Mapping[str, bytes]) -> Pki:
    files = {file: folder.get(f"pki/{file}", b"") for file in PKI_FILES}
    pki = Pki(files)
    if not all(files.values()) or pki.damaged():
        raise BackupError("the authorities of the cluster are missing in it, or were not made for each other")
    return pki


def _tool() -> Sequence[str]:
    """etcd's own for files; before etcd 3.5 its client was that."""
    if found := shutil.which("etcdutl"):
        return [found]
    return [_program("etcdctl")]


def _program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise BackupError(f"it cannot be tried: {name} is not installed on this host (etcd and etcdutl are needed)")
    return found


def _version(server: str) -> str:
    said = _run([server, "--version"], 60).stdout
    found = re.search(r"etcd Version: *(\S+)", said)
    if not found:
        raise BackupError(f"{server} does not say which version of etcd it is")
    return found.group(1)


def _run(command: Sequence[str], seconds: float, group: int | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=_environment(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            process_group=group,
        )
    except subprocess.TimeoutExpired as problem:
        raise BackupError(f"{command[0]} has not ended within {seconds:.0f} s") from problem
    except OSError as problem:
        raise BackupError(f"{command[0]} cannot be started: {problem.strerror}") from problem


def _environment() -> dict[str, str]:
    """Without what else would steer an etcd or its client."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ETCD_", "ETCDCTL_"))}
    return {**kept, "ETCDCTL_API": "3"}


def _last(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it says nothing"


@contextmanager
def _reserved_ports(count: int) -> Iterator[list[int]]:
    """Which nobody else gets while the context is open."""
    with ExitStack() as reserved:
        sockets = [reserved.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        yield [int(it.getsockname()[1]) for it in sockets]
