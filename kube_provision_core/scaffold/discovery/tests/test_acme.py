"""The driver keeps every promise that kube-provision relies on, on both sides."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kube_provision_acme.config import AcmeConfig
from kube_provision_acme.driver import Acme
from kube_provision_acme.node.discovery import Client, UnavailableError, connect
from kube_provision_core import Cluster, Role
from kube_provision_core.testing import DiscoveryContract, cluster_of

RECORD = {"state": "initialising", "node": "m-1", "instance_id": "i-1", "cluster_id": "id-1"}


class TestContract(DiscoveryContract):
    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Acme]:
        config = AcmeConfig.model_validate({"acme_server": "192.0.2.1", "acme_folder": tmp_path / "share"})
        return lambda: Acme(dict.fromkeys(Role, config))

    @pytest.fixture
    def live_cluster(self, tmp_path: Path) -> Cluster:
        (tmp_path / "share").mkdir()
        return cluster_of(address="192.0.2.1")

    @pytest.fixture
    def write_record(self, tmp_path: Path) -> Callable[[Cluster, str], None]:
        def write(cluster: Cluster, text: str) -> None:
            path = tmp_path / "share" / cluster.name / "record.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

        return write


@pytest.fixture
def make_client(tmp_path: Path) -> Callable[[str], Client]:
    """A function that makes the client of a node, as the programs on it do."""
    (tmp_path / "share").mkdir()
    (tmp_path / "discovery.json").write_text(json.dumps({"mount": str(tmp_path / "share"), "server": "127.0.0.1"}))
    return lambda name: connect({"name": name, "cluster": "prod"}, tmp_path)


def test_the_record_is_created_once(make_client: Callable[[str], Client]) -> None:
    first, second = make_client("m-1"), make_client("m-2")
    assert (first.create_record(RECORD), second.create_record(RECORD)) == (True, False)


def test_the_record_is_replaced_only_if_nobody_else_has_replaced_it(make_client: Callable[[str], Client]) -> None:
    client = make_client("m-1")
    client.create_record(RECORD)
    found = client.read_record()
    assert found
    assert client.replace_record({**RECORD, "state": "initialised"}, found.version)
    assert not client.replace_record(RECORD, found.version)


def test_a_node_waits_for_the_lock_and_is_told_who_holds_it(make_client: Callable[[str], Client]) -> None:
    with make_client("m-1").lock(1.0), pytest.raises(UnavailableError, match="m-1"), make_client("m-2").lock(0.0):
        pass


def test_a_master_that_does_not_answer_is_none(make_client: Callable[[str], Client]) -> None:
    client = make_client("m-1")
    client.register()
    assert client.masters("", 0.0)[1] == []


def test_a_nodes_address_is_that_of_its_route_to_the_server(make_client: Callable[[str], Client]) -> None:
    assert make_client("m-1").address() == "127.0.0.1"
