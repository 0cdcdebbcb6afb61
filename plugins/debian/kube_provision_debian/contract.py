"""The driver keeps every promise that kube-provision relies on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kube_provision_core.testing import OsContract
from kube_provision_debian.driver import Debian


class TestContract(OsContract):
    enables_by_itself = True
    folders = ("/etc/apt/sources.list.d", "/var/lib/dpkg/updates", "/etc/ssl/certs")
    releases = tuple(
        f'ID=debian\nVERSION_ID="{number}"\nVERSION_CODENAME={name}\nPRETTY_NAME="Debian {number}"\n'
        for number, name in (("12", "bookworm"), ("13", "trixie"))
    )

    @pytest.fixture
    def make_driver(self) -> Callable[[], Debian]:
        return lambda: Debian({})
