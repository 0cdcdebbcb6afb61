"""What the stand-ins of several masters keep in one real etcd: nobody's writing undoes another's."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from machines.standins.apiserver import EtcdObjects
from machines.standins.encryption import Plain
from machines.standins.etcd import Etcd
from servers.cluster_objects import ClusterObjects
from servers.etcd import EtcdServers
from servers.refusals import RefusedError

from kube_provision_core.folder.pki import Pki
from kube_provision_core.folder.x509 import KeyPair, sign_client

ADDRESS = "127.63.10.1"
NODES, CONFIG_MAPS = "/api/v1/nodes", "/api/v1/namespaces/kube-system/configmaps"
WRITES = 40


@pytest.fixture
def masters(pki: Pki, tmp_path: Path) -> Iterator[list[ClusterObjects]]:
    """The objects as two API servers have them."""
    credential = sign_client(pki.authority("etcd/ca"), "kube-apiserver-etcd-client", None, timedelta(hours=1))
    _write(tmp_path, pki, credential)
    with EtcdServers(pki, {"m-1": ADDRESS}):
        yield [EtcdObjects(Etcd(ADDRESS, tmp_path), Plain()) for _ in range(2)]


def _write(folder: Path, pki: Pki, credential: KeyPair) -> None:
    (folder / "etcd").mkdir()
    (folder / "etcd/ca.crt").write_bytes(pki.files["etcd/ca.crt"])
    (folder / "apiserver-etcd-client.crt").write_bytes(credential.certificate)
    (folder / "apiserver-etcd-client.key").write_bytes(credential.key)


def test_of_two_that_write_what_they_have_read_one_is_refused(masters: list[ClusterObjects]) -> None:
    masters[0].add_node("w-1", "10.0.0.1")

    def write_again_and_again(own: ClusterObjects, label: str) -> None:
        written = 0
        while written < WRITES:
            node = own.get(NODES, "w-1")
            node["metadata"]["labels"][label] = str(int(node["metadata"]["labels"].get(label, 0)) + 1)
            with suppress(RefusedError):
                own.replace(NODES, "w-1", node)
                written += 1

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write_again_and_again, masters, ("first", "second"), timeout=120))
    labels = masters[0].get(NODES, "w-1")["metadata"]["labels"]
    assert (labels["first"], labels["second"]) == (str(WRITES), str(WRITES))


def test_who_names_no_version_writes_over_what_others_write(masters: list[ClusterObjects]) -> None:
    masters[0].create(CONFIG_MAPS, {"metadata": {"name": "settings"}, "data": {}})

    def write(own: ClusterObjects) -> None:
        for number in range(WRITES // 4):
            own.replace(CONFIG_MAPS, "settings", {"metadata": {"name": "settings"}, "data": {"number": str(number)}})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, masters, timeout=120))
    assert masters[1].get(CONFIG_MAPS, "settings")["data"] == {"number": str(WRITES // 4 - 1)}


def test_what_is_there_is_not_created_once_more(masters: list[ClusterObjects]) -> None:
    masters[0].add_node("w-2", "10.0.0.2")
    with pytest.raises(RefusedError, match="already exists"):
        masters[1].add_node("w-2", "10.0.0.2")
