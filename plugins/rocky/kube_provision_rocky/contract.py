"""Both drivers keep every promise that kube-provision relies on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kube_provision_core import DnfConfig, Role
from kube_provision_core.testing import OsContract
from kube_provision_rocky.driver import AlmaLinux, Rocky


def releases(system: str, name: str) -> tuple[str, ...]:
    """/etc/os-release tells the minor."""
    return tuple(
        f'NAME="{name}"\nID="{system}"\nID_LIKE="rhel centos fedora"\nVERSION_ID="{number}"\nPRETTY_NAME="{name} {number}"\n'
        for number in ("9.0", "9.7", "10.1")
    )


class TestRocky(OsContract):
    folders = ("/etc/pki/ca-trust/source/anchors",)
    releases = releases("rocky", "Rocky Linux")

    @pytest.fixture
    def make_driver(self) -> Callable[[], Rocky]:
        return lambda: Rocky(dict.fromkeys(Role, DnfConfig()))


class TestAlmaLinux(OsContract):
    folders = ("/etc/pki/ca-trust/source/anchors",)
    releases = releases("almalinux", "AlmaLinux")

    @pytest.fixture
    def make_driver(self) -> Callable[[], AlmaLinux]:
        return lambda: AlmaLinux(dict.fromkeys(Role, DnfConfig()))
