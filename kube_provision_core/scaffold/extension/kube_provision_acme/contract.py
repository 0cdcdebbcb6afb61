"""The extension keeps every promise that kube-provision relies on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kube_provision_acme.config import AcmeConfig
from kube_provision_acme.driver import Acme
from kube_provision_core import Role
from kube_provision_core.testing import ExtensionContract


class TestContract(ExtensionContract):
    name = "acme"

    @pytest.fixture
    def make_driver(self) -> Callable[[], Acme]:
        return lambda: Acme(dict.fromkeys(Role, AcmeConfig(acme_packages=("htop",))))
