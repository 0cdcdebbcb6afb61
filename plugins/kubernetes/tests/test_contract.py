"""The contract suite: on the API of a cluster, and as it runs where somebody has the driver alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.consul_agents import unused_network
from servers.discovery_api import DiscoveryApi, Store

from kube_provision_core import Cluster, Role
from kube_provision_core.folder.pki import Pki
from kube_provision_core.testing import DiscoveryContract, client_of, cluster_of
from kube_provision_core.testing.suite_run import run
from kube_provision_kubernetes import tokens
from kube_provision_kubernetes.config import KubernetesConfig
from kube_provision_kubernetes.driver import Kubernetes

SEED = os.urandom(32).hex()

pytestmark = pytest.mark.integration


class TestContract(DiscoveryContract):
    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return (SEED, *(tokens.token(SEED, asker) for asker in tokens.Asker))

    @pytest.fixture
    def server(self, pki: Pki) -> Iterator[DiscoveryApi]:
        """Not started before a test asks for `live_cluster`."""
        server = DiscoveryApi(pki, f"{unused_network()}.1", Store(), 6443)
        server.store.apply(tokens.rights(SEED))
        server.store.serve_at(server.address)
        yield server
        server.stop()

    @pytest.fixture
    def make_driver(self) -> Callable[[], Kubernetes]:
        config = KubernetesConfig.model_validate({"kubernetes_seed": SEED})
        return lambda: Kubernetes(dict.fromkeys(Role, config))

    @pytest.fixture
    def live_cluster(self, server: DiscoveryApi, pki: Pki) -> Cluster:
        server.start()
        return replace(cluster_of(address=server.address), ca=pki.ca.decode(), discovery_on_masters=True)

    @pytest.fixture
    def make_client(self, make_driver: Callable[[], Kubernetes], pki: Pki, tmp_path: Path) -> Callable[..., Any]:
        def make(node: Mapping[str, Any]) -> Any:
            return client_of(make_driver(), node, tmp_path, ca=pki.ca.decode())

        return make

    @pytest.fixture
    def write_record(self, server: DiscoveryApi) -> Callable[[Cluster, str], None]:
        def write(cluster: Cluster, text: str) -> None:
            record = {"metadata": {"name": f"record-{cluster.name}"}, "data": {"record": text}}
            server.store.put("kube-provision", "configmaps", record)

        return write


def test_what_needs_no_api_is_checked_wherever_the_driver_is_installed() -> None:
    checks = run(["kube_provision_kubernetes.contract"])
    assert {(it.check, it.why) for it in checks if it.result != "passed"} == set()
    assert "test_programs_need_nothing_but_the_standard_library" in {it.check.partition("[")[0] for it in checks}
