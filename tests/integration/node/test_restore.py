"""A snapshot of a real etcd becomes the first member of another one, as a master lays it down."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from servers import etcdutl
from servers.consul_agents import unused_network
from servers.debian import require

from kube_provision_node.etcd import PEER_PORT
from kube_provision_node.kubeadm import Kubeadm, KubeadmError
from kube_provision_node.proxy import Proxy
from kube_provision_node.restore import BUMP, Restoration
from kube_provision_node.settings import Node, Places

LIMIT = 60.0
KEYS = {f"/registry/{index}": f"value {index}" for index in range(200)}


class Etcd:
    """One that runs, by its own interface."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}:2379"

    def ask(self, what: str, **document: Any) -> dict[str, Any]:
        encoded = {key: b64encode(value).decode() if isinstance(value, bytes) else value for key, value in document.items()}
        with urlopen(Request(f"{self.url}/v3/{what}", json.dumps(encoded).encode()), timeout=LIMIT) as answer:
            return dict(json.load(answer))

    def put(self, key: str, value: str) -> None:
        self.ask("kv/put", key=key.encode(), value=value.encode())

    def everything(self) -> dict[str, str]:
        found = self.ask("kv/range", key=b"/", range_end=b"0").get("kvs", ())
        return {b64decode(it["key"]).decode(): b64decode(it["value"]).decode() for it in found}

    @property
    def revision(self) -> int:
        return int(self.ask("kv/range", key=b"/")["header"]["revision"])


@contextmanager
def etcd(data: Path, name: str, address: str) -> Iterator[Etcd]:
    peer = f"https://{address}:{PEER_PORT}"
    command = [
        *("etcd", "--name", name, "--data-dir", str(data), "--initial-cluster", f"{name}={peer}"),
        *("--initial-advertise-peer-urls", peer, "--listen-peer-urls", f"http://{address}:{PEER_PORT}"),
        *("--listen-client-urls", f"http://{address}:2379", "--advertise-client-urls", f"http://{address}:2379"),
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ETCD_")}
    with (data.parent / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield _answering(Etcd(address), process)
    finally:
        process.kill()
        process.wait()


def _answering(found: Etcd, process: subprocess.Popen[bytes]) -> Etcd:
    deadline = time.monotonic() + LIMIT
    while True:
        assert process.poll() is None, "etcd has ended"
        with suppress(OSError):
            assert found.revision
            return found
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def network() -> str:
    require("etcd")
    return unused_network()


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory, network: str) -> tuple[Path, int]:
    """Of a cluster that is lost since, and its revision."""
    folder = tmp_path_factory.mktemp("lost")
    path = folder / "snapshot.db"
    with etcd(folder / "data", "m-old", f"{network}.1") as lost:
        for key, value in KEYS.items():
            lost.put(key, value)
        command = ["etcdctl", f"--endpoints={lost.url}", "snapshot", "save", str(path)]
        etcdutl.build()  # brings etcdctl
        subprocess.run(command, env=os.environ | {"ETCDCTL_API": "3"}, check=True, capture_output=True, timeout=LIMIT)
        return path, lost.revision


@pytest.fixture
def master(tmp_path: Path, snapshot: tuple[Path, int]) -> Restoration:
    """One that was brought it."""
    places = Places(tmp_path)
    content = snapshot[0].read_bytes()
    (places.state / "restore").mkdir(parents=True)
    (places.state / "restore/snapshot.db").write_bytes(content)
    places.config.mkdir(parents=True)
    announced = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (places.config / "restore.json").write_text(json.dumps(announced))
    node = Node("m-prod-1", "master", "prod", "id-1", may_init=True)
    nobody: Any = None
    return Restoration(places, node, nobody, OSError, Proxy(places, 8443, 6443), Kubeadm(places))


@pytest.fixture(scope="module")
def tool() -> Path:
    return etcdutl.build() / "etcdutl"


def test_every_key_is_there_and_what_is_written_comes_long_after_it(
    master: Restoration, tool: Path, snapshot: tuple[Path, int], network: str
) -> None:
    master.lay(tool, f"{network}.2")
    with etcd(master.places.root / "var/lib/etcd", "m-prod-1", f"{network}.2") as restored:
        assert restored.everything() == KEYS
        assert restored.revision >= snapshot[1] + BUMP
        (member,) = restored.ask("cluster/member/list")["members"]
        assert (member["name"], member["peerURLs"]) == ("m-prod-1", [f"https://{network}.2:{PEER_PORT}"])
        with pytest.raises(OSError, match="400"):  # whoever watches from before has to list anew
            restored.ask("kv/range", key=b"/", range_end=b"0", revision=str(snapshot[1]))


def test_it_is_laid_anew_over_whatever_an_attempt_has_left(master: Restoration, tool: Path, network: str) -> None:
    """One that was killed in the middle, and one whose kubeadm had begun to write to it."""
    data = master.places.root / "var/lib/etcd"
    (data / ".restoring/member/snap").mkdir(parents=True)
    master.lay(tool, f"{network}.3")
    with etcd(data, "m-prod-1", f"{network}.3") as restored:
        restored.put("/registry/half-done", "")
    master.lay(tool, f"{network}.3")
    assert sorted(path.name for path in data.iterdir()) == ["member"]
    with etcd(data, "m-prod-1", f"{network}.3") as restored:
        assert restored.everything() == KEYS


def test_a_snapshot_that_is_damaged_begins_nothing(master: Restoration, tool: Path, network: str) -> None:
    path = master.snapshot.path
    content = path.read_bytes()
    path.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    with pytest.raises(KubeadmError, match="etcdutl snapshot"):
        master.lay(tool, f"{network}.4")
    assert not (master.places.root / "var/lib/etcd/member").exists()
