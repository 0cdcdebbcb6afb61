"""The driver that is sound, and the suite that bugs are planted under."""

from __future__ import annotations

import pytest
from kube_provision_sound_discovery.config import SoundDiscoveryConfig
from kube_provision_sound_discovery.driver import SoundDiscovery as Sound

from kube_provision_core import Role
from kube_provision_core.testing import DiscoveryContract, client_of, cluster_of

FIXTURES = {}


class Suite(DiscoveryContract):
    Driver = Sound

    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch):
        """What a folder tells it tells at once: nobody needs the time that a service across a network may take."""
        monkeypatch.setattr("kube_provision_core.testing.discovery_client._SOON", 5.0)

    @pytest.fixture
    def make_driver(self, tmp_path):
        share = tmp_path / "share"
        places = {"sound_discovery_folder": share, "sound_discovery_mount": str(share)}
        config = SoundDiscoveryConfig.model_validate({"sound_discovery_server": "127.0.0.1", **places})
        return lambda: self.Driver(dict.fromkeys(Role, config))

    @pytest.fixture
    def secrets(self):
        return ("a-token",)

    @pytest.fixture
    def live_cluster(self, tmp_path):
        (tmp_path / "share").mkdir()
        return cluster_of(address="127.0.0.1")

    @pytest.fixture
    def make_client(self, make_driver, tmp_path):
        return lambda node: client_of(make_driver(), node, tmp_path)

    @pytest.fixture
    def write_record(self, tmp_path):
        def write(cluster, text):
            (tmp_path / "share" / cluster.name).mkdir(exist_ok=True)
            (tmp_path / "share" / cluster.name / "record.json").write_text(text)

        return write
