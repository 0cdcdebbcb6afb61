"""What can be seen of the driver's promises without VMware; with a stand-in for `vmrun` its own tests check them all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kube_provision_core import Role
from kube_provision_core.testing import TargetContract
from kube_provision_fusion.config import FusionConfig
from kube_provision_fusion.driver import Fusion


class TestFusion(TargetContract):
    @pytest.fixture
    def out_of_reach(self) -> str:
        return "it takes VMware Fusion or Workstation, and a template of which machines would be made"

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Callable[[], Fusion]:
        config = FusionConfig(template=tmp_path / "debian-13.vmx", vm_dir=tmp_path)
        return lambda: Fusion(dict.fromkeys(Role, config))
