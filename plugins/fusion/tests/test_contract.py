"""The driver keeps every promise of the target contract."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from servers.vmware import Vmware

from kube_provision_core import Vm
from kube_provision_core.testing import TargetContract
from kube_provision_fusion.driver import Fusion


class TestFusion(TargetContract):
    @pytest.fixture
    def make_driver(self, vmware: Vmware) -> Callable[[], Fusion]:
        return vmware.driver

    @pytest.fixture
    def create_foreign(self, vmware: Vmware) -> Callable[[str], None]:
        return vmware.create_foreign

    @pytest.fixture
    def break_creation(self, vmware: Vmware) -> Callable[[str], AbstractContextManager[None]]:
        return lambda name: vmware.fault("half clone", name, message="There is not enough space on the disk")

    @pytest.fixture
    def read_boot_data(self, vmware: Vmware) -> Callable[[Vm], str]:
        return vmware.boot_data


class TestWorkstation(TestFusion):
    """The same on Linux: another product, other names of folders."""

    @pytest.fixture(autouse=True)
    def _on_linux(self, vmware: Vmware) -> None:
        vmware.be(product="ws")
