"""A cluster's API for the driver, and the driver for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.consul_agents import unused_network
from servers.discovery_api import DiscoveryApi, Store

from kube_provision_core import Cluster, Role
from kube_provision_core.folder.pki import Pki, create_pki
from kube_provision_core.testing import cluster_of, node_of
from kube_provision_kubernetes import tokens
from kube_provision_kubernetes.config import KubernetesConfig
from kube_provision_kubernetes.driver import Kubernetes
from kube_provision_kubernetes.node import Client, connect

SEED = "0123456789abcdef" * 4
MakeDriver = Callable[..., Kubernetes]
MakeClient = Callable[..., Client]


@pytest.fixture(scope="session")
def pki() -> Pki:
    return create_pki("prod")


@pytest.fixture
def store() -> Store:
    """Of a cluster that has just been made: nobody has rights there."""
    return Store()


@pytest.fixture
def api(pki: Pki, store: Store) -> Iterator[DiscoveryApi]:
    """Its first master."""
    with DiscoveryApi(pki, f"{unused_network()}.1", store) as server:
        store.serve_at(server.address)
        yield server


@pytest.fixture
def granted(api: DiscoveryApi, store: Store) -> DiscoveryApi:
    """The same once its first master has given everybody his rights."""
    store.apply(tokens.rights(SEED))
    return api


@pytest.fixture
def make_driver(api: DiscoveryApi) -> MakeDriver:
    def make(**keys: Any) -> Kubernetes:
        config = KubernetesConfig.model_validate({"kubernetes_seed": SEED} | keys)
        return Kubernetes(dict.fromkeys(Role, config), api.port)

    return make


@pytest.fixture
def cluster(api: DiscoveryApi, pki: Pki) -> Cluster:
    """As a run sees it that knows its first master."""
    return replace(cluster_of(name="prod", address=api.address), ca=pki.ca.decode(), discovery_on_masters=True)


@pytest.fixture
def make_client(make_driver: MakeDriver, cluster: Cluster, tmp_path: Path) -> MakeClient:
    """A machine's, connected by the files that it is delivered. Its disk is a folder that is named for it."""

    def make(name: str = "m-prod-1", *, seed: str | None = "", may_init: bool = False, api_port: int = 6443) -> Client:
        role = Role.MASTER if name.startswith("m-") else Role.WORKER
        node = node_of(name, role, cluster="prod", carries_ca=may_init)
        where = cluster.discovery_address if seed == "" else seed
        fragment = make_driver().render_boot(node, replace(cluster, discovery_address=where))
        for file in fragment.files:
            path = tmp_path / name / file.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(file.content))
        document = {"name": name, "role": role.value, "cluster": "prod", "may_init": may_init, "api_port": api_port}
        return connect(document, tmp_path / name / "etc/kube-provision")

    return make
