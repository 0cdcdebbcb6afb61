"""The driver keeps every promise that kube-provision relies on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kube_provision_core.testing import OsContract
from kube_provision_ubuntu.driver import Ubuntu


class TestContract(OsContract):
    enables_by_itself = True
    folders = ("/etc/apt/sources.list.d", "/var/lib/dpkg/updates", "/etc/ssl/certs")
    releases = tuple(
        f'ID=ubuntu\nVERSION_ID="{number}"\nVERSION_CODENAME={name}\nPRETTY_NAME="Ubuntu {number}"\n'
        for number, name in (("22.04", "jammy"), ("24.04", "noble"), ("26.04", "resolute"))
    )

    @pytest.fixture
    def make_driver(self) -> Callable[[], Ubuntu]:
        return lambda: Ubuntu({})
