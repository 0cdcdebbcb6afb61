"""The driver keeps every promise that kube-provision relies on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kube_provision_centos.driver import CentOS
from kube_provision_core import DnfConfig, Role
from kube_provision_core.testing import OsContract


class TestContract(OsContract):
    folders = ("/etc/pki/ca-trust/source/anchors",)
    releases = tuple(f'ID="centos"\nVERSION_ID="{number}"\nPRETTY_NAME="CentOS Stream {number}"\n' for number in ("9", "10"))

    @pytest.fixture
    def make_driver(self) -> Callable[[], CentOS]:
        return lambda: CentOS(dict.fromkeys(Role, DnfConfig()))
