"""Authorities and snapshot on their way to a master that waits for them."""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kube_provision_core.cluster import bringing
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.contract.machines import Endpoint
from kube_provision_core.folder.pki import Pki, Snapshot
from kube_provision_core.folder.x509 import sign_server
from kube_provision_node import restore

PIECE, PIECES = bytes(1 << 20), 32
"""More than the buffers of both sides take."""
DIGEST = hashlib.sha256(PIECE * PIECES).hexdigest()
PATIENCE = 1.0
BLOCKED = 3.0


@dataclass(frozen=True)
class OnASlowDisk(restore.Snapshot):
    def take(self, source: Any) -> None:
        time.sleep(BLOCKED)
        super().take(source)


@pytest.fixture
def master(pki: Pki, tmp_path: Path) -> Iterator[Endpoint]:
    """It waits for the snapshot."""
    shown = sign_server(pki.authority("ca"), "m-prod-1", ["m-prod-1"], timedelta(hours=1))
    (tmp_path / "receiver.pem").write_bytes(shown.certificate + shown.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=pki.ca.decode())
    context.load_cert_chain(tmp_path / "receiver.pem")
    announced = OnASlowDisk(tmp_path / "brought/snapshot.db", len(PIECE) * PIECES, DIGEST)
    with restore.Receiver(announced, tmp_path / "ca", context, ("127.0.0.1", 0)) as receiver:
        serving = threading.Thread(target=receiver.serve_forever, args=(0.05,))
        serving.start()
        yield Endpoint(*receiver.server_address[:2])
        receiver.shutdown()
        serving.join()


def test_a_disk_that_writes_nothing_for_longer_than_anybody_waits_for_a_connection_breaks_nothing_off(
    master: Endpoint, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringing, "CONNECT_TIMEOUT", PATIENCE)
    brought = False
    for _ in range(3):  # a host under load may not connect at once
        with suppress(ControlPlaneError):
            snapshot = Snapshot(len(PIECE) * PIECES, DIGEST)
            brought = brought or bringing.bring(master, "m-prod-1", pki, snapshot, iter([PIECE] * PIECES))
    assert brought
    assert (tmp_path / "brought/snapshot.db").stat().st_size == len(PIECE) * PIECES
