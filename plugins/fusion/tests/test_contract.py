"""The driver keeps every promise of the target contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from servers.vmware import Vmware

from kube_provision_core import Baked, Vm
from kube_provision_core.testing import BakingContract, TargetContract
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


class TestBaking(BakingContract):
    @pytest.fixture
    def template(self, vmware: Vmware) -> Path:
        return vmware.vm_dir / "kube.vmwarevm" / "kube.vmx"

    @pytest.fixture
    def make_driver(self, vmware: Vmware, template: Path) -> Callable[[], Fusion]:
        return lambda: vmware.driver(template=str(template), bake_from=str(vmware.template))

    @pytest.fixture
    def guest_bakes(self, vmware: Vmware) -> Callable[[Baked], None]:
        def bakes(baked: Baked) -> None:
            status = {"stage": "finish", "state": "done", "error": "", "baked": baked.document}
            vmware.publish("kube", **{"kube-provision.status": json.dumps(status)})

        return bakes

    @pytest.fixture
    def create_foreign(self, vmware: Vmware) -> Callable[[], None]:
        return lambda: vmware.create_foreign("kube")

    @pytest.fixture
    def read_boot_data(self, vmware: Vmware) -> Callable[[], str]:
        return lambda: "".join(vmware.boot_data_in(folder) for folder in vmware.vm_dir.glob("kube.2*"))
