"""The driver keeps every promise that kube-provision relies on, on both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kube_provision_acme.config import AcmeConfig
from kube_provision_acme.driver import Acme
from kube_provision_core import Cluster, Role
from kube_provision_core.testing import DiscoveryContract, client_of, cluster_of

SERVER = "127.0.0.1"


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """The folder that is shared; it is there once a test asks for `live_cluster`."""
    return tmp_path / "share"


class TestContract(DiscoveryContract):
    @pytest.fixture
    def make_driver(self, share: Path) -> Callable[[], Acme]:
        keys = {"acme_server": SERVER, "acme_folder": share, "acme_mount": str(share)}
        config = AcmeConfig.model_validate(keys)
        return lambda: Acme(dict.fromkeys(Role, config))

    @pytest.fixture
    def live_cluster(self, share: Path) -> Cluster:
        share.mkdir()
        return cluster_of(address=SERVER)

    @pytest.fixture
    def make_client(self, make_driver: Callable[[], Acme], tmp_path: Path) -> Callable[[Mapping[str, Any]], Any]:
        return lambda node: client_of(make_driver(), node, tmp_path)

    @pytest.fixture
    def write_record(self, share: Path) -> Callable[[Cluster, str], None]:
        def write(cluster: Cluster, text: str) -> None:
            path = share / cluster.name / "record.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

        return write
