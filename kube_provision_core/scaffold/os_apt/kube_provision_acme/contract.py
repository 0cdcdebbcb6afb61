"""The driver keeps every promise that kube-provision relies on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kube_provision_acme.driver import Acme
from kube_provision_core.testing import OsContract


class TestContract(OsContract):
    enables_by_itself = True
    folders = ("/etc/apt/sources.list.d", "/var/lib/dpkg/updates", "/etc/ssl/certs")
    releases = tuple(
        f'ID={Acme.system}\nVERSION_ID="{number}"\nVERSION_CODENAME=contract\nPRETTY_NAME="{Acme.system} {number}"\n'
        for number in Acme.releases
    )

    @pytest.fixture
    def make_driver(self) -> Callable[[], Acme]:
        return lambda: Acme({})
