"""A simulated master whose cluster begins with a snapshot: it takes that by the program that does so on a node."""

from __future__ import annotations

import json
import ssl
import tempfile
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from kube_provision_core.folder.pki import Pki
from kube_provision_core.folder.x509 import sign_server
from kube_provision_node.restore import Receiver, Snapshot

PORT = 6443


def announced(user_data: str) -> dict[str, Any] | None:
    """Size and digest of the snapshot, as the boot data name them; None where there is none."""
    for file in yaml.safe_load(user_data)["write_files"]:
        if file["path"].endswith("/restore.json"):
            found: dict[str, Any] = json.loads(file["content"])
            return found
    return None


class LivingRestoration:
    """Listens from its beginning to its end, until the snapshot has come."""

    def __init__(self, name: str, address: str, pki: Pki, size: int, sha256: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="restoration-")
        path = Path(self._folder.name)
        snapshot = Snapshot(path / "snapshot.db", size, sha256)
        self._receiver = Receiver(snapshot, path / "ca", _context(name, pki, path), (address, PORT))
        self._thread = threading.Thread(target=self._receiver.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return self._receiver.come.is_set()

    def end(self) -> None:
        """From now on nobody listens there."""
        self._receiver.shutdown()
        self._thread.join()
        self._receiver.server_close()
        self._folder.cleanup()


def _context(name: str, pki: Pki, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=pki.ca.decode())
    shown = sign_server(pki.authority("ca"), name, [name], timedelta(hours=1))
    (folder / "receiver.pem").write_bytes(shown.certificate + shown.key)
    context.load_cert_chain(folder / "receiver.pem")
    return context
