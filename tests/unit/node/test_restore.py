"""How a master that restores a cluster is brought the snapshot: over real connections, by whoever comes."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from kube_provision_core.folder.pki import Pki, create_pki
from kube_provision_core.folder.x509 import KeyPair, sign_client, sign_server
from kube_provision_node.choreography import GaveUpError
from kube_provision_node.restore import Receiver, Snapshot, may_bring

CONTENT = bytes(range(256)) * 9000
HOUR = timedelta(hours=1)
LIMIT = 60.0


class Master:
    """Waits for the snapshot at a port of its own."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        self.folder, self.pki = folder, pki
        self.snapshot = Snapshot(folder / "restore/snapshot.db", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=pki.ca.decode())
        shown = sign_server(pki.authority("ca"), "m-prod-1", ["m-prod-1"], HOUR)
        context.load_cert_chain(self.kept("server", shown))
        self.receiver = Receiver(self.snapshot, folder / "ca", context, ("127.0.0.1", 0))
        self.waiting = threading.Thread(target=self.receiver.wait, args=(LIMIT,))

    def kept(self, name: str, pair: KeyPair) -> Path:
        path = self.folder / f"{name}.pem"
        path.write_bytes(pair.certificate + pair.key)
        return path

    def connect(self, group: str | None = "system:masters", by: Pki | None = None) -> http.client.HTTPSConnection:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.pki.ca.decode())
        context.check_hostname = False
        if group is not None:
            bearer = sign_client((by or self.pki).authority("ca"), "somebody", group, HOUR)
            context.load_cert_chain(self.kept("client", bearer))
        return http.client.HTTPSConnection("127.0.0.1", self.receiver.server_port, timeout=LIMIT, context=context)

    def bring(self, content: bytes) -> int:
        assert self.bring_authorities() == 200
        return bring_by(self.connect(), content)

    def bring_authorities(self, group: str = "system:masters") -> int:
        files = {name: text.decode() for name, text in self.pki.files.items()}
        with closing(self.connect(group)) as connection:
            connection.request("PUT", "/authorities", json.dumps(files))
            return connection.getresponse().status

    @property
    def authorities(self) -> dict[str, bytes]:
        folder = self.folder / "ca"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def announce(self, size: int, group: str = "system:masters", path: str = "/snapshot") -> int:
        """What comes of it before a byte was sent."""
        connection = self.connect(group)
        try:
            connection.putrequest("PUT", path)
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
            return connection.getresponse().status
        finally:
            connection.close()

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "restore").glob("*"))


def bring_by(connection: http.client.HTTPSConnection, content: bytes = CONTENT) -> int:
    with closing(connection):
        connection.request("PUT", "/snapshot", content)
        return connection.getresponse().status


@pytest.fixture
def master(tmp_path: Path, pki: Pki) -> Iterator[Master]:
    master = Master(tmp_path, pki)
    master.waiting.start()
    yield master
    master.receiver.come.set()
    master.waiting.join(LIMIT)


def test_it_is_taken_whole_and_then_nobody_listens(master: Master) -> None:
    assert master.bring(CONTENT) == 200
    master.waiting.join(LIMIT)
    assert not master.waiting.is_alive()
    assert master.snapshot.path.read_bytes() == CONTENT
    assert master.snapshot.path.stat().st_mode & 0o777 == 0o600
    with closing(master.connect()) as connection, pytest.raises(OSError, match="refused"):
        connection.connect()


def test_the_authorities_come_first_and_without_the_snapshot_all_is_waited_for(master: Master) -> None:
    assert master.announce(len(CONTENT)) == 422
    assert master.bring_authorities() == 200
    assert master.authorities == dict(master.pki.files)
    assert {path.stat().st_mode & 0o777 for path in (master.folder / "ca").rglob("*.*")} == {0o600}
    assert master.waiting.is_alive()
    assert bring_by(master.connect()) == 200


def test_authorities_are_taken_from_nobody_else(master: Master) -> None:
    assert master.bring_authorities("system:nodes") == 403
    assert master.authorities == {}


@pytest.mark.parametrize("group", ["system:nodes", "kubeadm:cluster-admins", "system:mastersx"])
def test_of_the_cluster_s_own_certificates_few_are_for_that(master: Master, group: str) -> None:
    """Kubelets have theirs of the same authority."""
    assert master.announce(len(CONTENT), group) == 403
    assert master.waiting.is_alive()
    assert master.left == []


def test_who_shows_no_certificate_or_another_cluster_s_is_not_heard(master: Master) -> None:
    for connection in (master.connect(None), master.connect(by=create_pki("prod"))):
        with pytest.raises((OSError, http.client.HTTPException)):
            bring_by(connection)
    assert master.left == []
    assert master.bring(CONTENT) == 200


def test_another_snapshot_is_refused_and_the_right_one_is_waited_for(master: Master) -> None:
    assert master.bring_authorities() == 200
    assert master.announce(len(CONTENT) - 1) == 422
    assert master.announce(len(CONTENT) + 1) == 422
    assert master.bring(CONTENT[:-1] + b"x") == 422
    assert master.left == []
    assert master.bring(CONTENT) == 200


def test_nothing_else_is_served(master: Master) -> None:
    assert master.announce(len(CONTENT), path="/readyz") == 422
    with closing(master.connect()) as connection:
        connection.request("GET", "/snapshot")
        assert connection.getresponse().status == 501


def test_a_transfer_that_breaks_off_is_begun_again(master: Master) -> None:
    assert master.bring_authorities() == 200
    connection = master.connect()
    connection.putrequest("PUT", "/snapshot")
    connection.putheader("Content-Length", str(len(CONTENT)))
    connection.endheaders(CONTENT[:100000])
    connection.close()
    status = 409
    while status == 409:  # the break may not have been noticed yet; then nothing is read of what comes
        with suppress(OSError):
            status = master.bring(CONTENT)
    assert status == 200
    assert master.left == ["snapshot.db"]


def test_who_says_nothing_keeps_nobody_from_bringing_it(master: Master) -> None:
    with socket.create_connection(("127.0.0.1", master.receiver.server_port)):
        assert master.bring(CONTENT) == 200


def test_nobody_is_waited_for_in_vain_for_ever(tmp_path: Path, pki: Pki) -> None:
    with pytest.raises(GaveUpError, match="nobody has brought the snapshot"):
        Master(tmp_path, pki).receiver.wait(0.1)


def test_without_a_certificate_nobody_may() -> None:
    assert not may_bring(None)
    assert not may_bring({})
    assert not may_bring({"subject": ((("commonName", "system:masters"),),)})
    assert may_bring({"subject": ((("organizationName", "system:masters"),), (("commonName", "somebody"),))})
