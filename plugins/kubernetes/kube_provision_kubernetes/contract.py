"""The driver keeps every promise that kube-provision relies on, as far as that shows without a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from kube_provision_core import Role
from kube_provision_core.testing import DiscoveryContract
from kube_provision_kubernetes.config import KubernetesConfig
from kube_provision_kubernetes.driver import Kubernetes
from kube_provision_kubernetes.tokens import new_seed

SEED = new_seed()
_API = "it takes the API of a cluster"


class TestKubernetes(DiscoveryContract):
    without = {"live_cluster": _API, "make_client": _API, "write_record": _API}  # noqa: RUF012 - a mapping that nobody changes

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return (SEED,)

    @pytest.fixture
    def make_driver(self) -> Callable[[], Kubernetes]:
        config = KubernetesConfig.model_validate({"kubernetes_seed": SEED})
        return lambda: Kubernetes(dict.fromkeys(Role, config))
