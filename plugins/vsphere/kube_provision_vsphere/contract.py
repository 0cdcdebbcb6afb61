"""What can be seen of the driver's promises without a vCenter; its own tests check them all against a simulated one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from kube_provision_core import Role
from kube_provision_core.testing import TargetContract
from kube_provision_vsphere.config import VsphereConfig
from kube_provision_vsphere.driver import Vsphere

PASSWORD = "a password of nobody's"  # noqa: S105


class TestVsphere(TargetContract):
    @pytest.fixture
    def out_of_reach(self) -> str:
        return "it takes a vCenter, in which machines would be made"

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return [PASSWORD]

    @pytest.fixture
    def make_driver(self) -> Callable[[], Vsphere]:
        keys = {"vcenter_hostname": "vcenter.invalid", "vcenter_username": "nobody", "template": "debian-13"}
        config = VsphereConfig.model_validate(keys | {"vcenter_password": PASSWORD})
        return lambda: Vsphere(dict.fromkeys(Role, config))
