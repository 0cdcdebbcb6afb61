"""etcd's snapshot as a stream, of Debian's real etcd, and of servers that send something else."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import subprocess
import threading
import tracemalloc
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from servers.etcd import EtcdServers

from kube_provision_core.cluster import snapshot as snapshots
from kube_provision_core.cluster.api import ControlPlane
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.folder.pki import Pki
from kube_provision_core.folder.x509 import sign_server

ADDRESS, FALSE = "127.63.7.1", "127.63.7.2"

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture(scope="module")
def etcd(pki: Pki) -> Iterator[EtcdServers]:
    with EtcdServers(pki, {"m-1": ADDRESS}) as etcd:
        yield etcd


def put(etcd: EtcdServers, key: str, value: bytes) -> None:
    subprocess.run(etcd.etcdctl("put", key), input=value, check=True, timeout=120, stdout=subprocess.DEVNULL)


def save(pki: Pki, path: Path) -> tuple[int, int, str]:
    """Write it there; size as announced, revision and version as told."""
    with ControlPlane([ADDRESS], pki) as api, api.etcd_snapshot() as snapshot, path.open("wb") as file:
        file.writelines(snapshot)
        return snapshot.size, snapshot.revision, snapshot.version


def test_it_is_etcds_own_file_with_all_that_was_acknowledged_before(pki: Pki, etcd: EtcdServers, tmp_path: Path) -> None:
    for number in range(5):
        put(etcd, f"/registry/{number}", os.urandom(300_000))
    size, revision, version = save(pki, tmp_path / "snapshot.db")
    content = (tmp_path / "snapshot.db").read_bytes()
    assert len(content) == size
    assert hashlib.sha256(content[:-32]).digest() == content[-32:]
    assert version.startswith("3.")
    command = ["env", "ETCDCTL_API=3", "etcdctl", "snapshot", "status", str(tmp_path / "snapshot.db"), "--write-out=json"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    assert told["revision"] >= revision
    assert revision >= 6


def test_memory_stays_flat_however_large_it_is(pki: Pki, etcd: EtcdServers) -> None:
    for number in range(20):
        put(etcd, f"/registry/large/{number}", os.urandom(1_000_000))
    with ControlPlane([ADDRESS], pki) as api, api.etcd_snapshot() as snapshot:
        tracemalloc.start()
        assert sum(map(len, snapshot)) == snapshot.size > 20_000_000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4_000_000


def test_one_that_is_left_in_the_middle_leaves_the_client_usable(pki: Pki, etcd: EtcdServers) -> None:
    with ControlPlane([ADDRESS], pki) as api:
        with api.etcd_snapshot() as snapshot:
            next(iter(snapshot))
        assert [member.name for member in api.etcd.members()] == ["m-1"]
        with api.etcd_snapshot() as snapshot:
            assert sum(map(len, snapshot)) == snapshot.size


def test_a_member_that_does_not_answer_is_passed_over(pki: Pki, etcd: EtcdServers) -> None:
    with ControlPlane([FALSE, ADDRESS], pki) as api, api.etcd_snapshot() as snapshot:
        assert sum(map(len, snapshot)) == snapshot.size


# --- what is no snapshot ------------------------------------------------------------------------------------------------


@contextmanager
def serving(pki: Pki, folder: Path, answer: Answer) -> Iterator[None]:
    """An etcd that has a revision, and answers with `answer` to who wants a snapshot."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(503 if answer is refuse and self.path.endswith("/snapshot") else 200)
            self.end_headers()
            if self.path.endswith("/snapshot"):
                answer(self)
            else:
                self.wfile.write(json.dumps({"header": {"revision": "7"}, "version": "3.6.8"}).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    pair = sign_server(pki.authority("etcd/ca"), "m-1", [FALSE], timedelta(days=1))
    chain = folder / "chain.pem"
    chain.write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with ThreadingHTTPServer((FALSE, 2379), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


CONTENT = os.urandom(100_000)
WHOLE = CONTENT + hashlib.sha256(CONTENT).digest()


def lines(content: bytes, announced: int = len(CONTENT)) -> bytes:
    """As etcd sends it; its digest is not part of what is said to remain."""
    found = []
    for start in range(0, len(content), 32_768):
        blob = content[start : start + 32_768]
        left = max(announced - start - len(blob), 0)
        found.append({"result": {"remaining_bytes": str(left), "blob": b64encode(blob).decode()}})
    return b"".join(json.dumps(it).encode() + b"\n" for it in found)


def sends(content: bytes) -> Answer:
    return lambda handler: handler.wfile.write(content) and None


def refuse(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b'{"error": "etcdserver: no space"}')


def test_the_false_server_of_these_tests_sends_what_an_etcd_does(pki: Pki, tmp_path: Path) -> None:
    with (
        serving(pki, tmp_path, sends(lines(WHOLE))),
        ControlPlane([FALSE], pki) as api,
        api.etcd_snapshot() as snapshot,
    ):
        assert (b"".join(snapshot), snapshot.revision, snapshot.version) == (WHOLE, 7, "3.6.8")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (sends(lines(WHOLE[:-50_000])), "ends its snapshot after 50032 of 100032 bytes"),
        (sends(lines(CONTENT)), "ends its snapshot after 100000 of 100032 bytes"),
        (sends(lines(CONTENT + bytes(32))), "its own digest does not fit"),
        (sends(lines(WHOLE + b"more")), "more than the 100032 bytes"),
        (sends(lines(WHOLE)[:-200]), "no part of a snapshot"),
        (sends(b'{"error": {"grpc_code": 14, "message": "etcdserver: stopped"}}\n'), "etcdserver: stopped"),
        (sends(b'{"result": {"blob": "***"}}\n'), "no part of a snapshot"),
        (sends(b"<html>\n"), "no part of a snapshot"),
        (sends(b"[1]\n"), "no part of a snapshot"),
        (sends(b""), "ends its snapshot after 0 of 32 bytes"),
        (sends(b"x" * (5 * 1024 * 1024)), "too large"),
        (refuse, "503 (etcdserver: no space)"),
    ],
)
def test_what_is_no_whole_snapshot_is_told_in_one_line(pki: Pki, tmp_path: Path, answer: Answer, says: str) -> None:
    with serving(pki, tmp_path, answer):
        assert says in trouble(pki)


def test_one_that_comes_to_a_standstill_is_not_waited_for(pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "IDLE", 2.0)
    over = threading.Event()

    def stall(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(lines(WHOLE)[:60_000])
        over.wait(120)

    with serving(pki, tmp_path, stall):
        try:
            assert "does not answer in time" in trouble(pki)
        finally:
            over.set()


def trouble(pki: Pki) -> str:
    with pytest.raises(ControlPlaneError) as raised, ControlPlane([FALSE], pki) as api, api.etcd_snapshot() as snapshot:
        for _ in snapshot:
            pass
    assert "\n" not in str(raised.value)
    return str(raised.value)
