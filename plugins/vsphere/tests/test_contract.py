"""The driver keeps every promise of the target contract, against the simulator."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from servers.simulator import STATUS_KEY, Machine, Simulator

from kube_provision_core import Baked, Vm
from kube_provision_core.testing import BakingContract, TargetContract

pytestmark = pytest.mark.integration


class TestVsphere(TargetContract):
    @pytest.fixture
    def make_driver(self, vcenter: Simulator, driver_for: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: driver_for(vcenter)

    @pytest.fixture
    def secrets(self, vcenter: Simulator) -> Sequence[str]:
        return [vcenter.password]

    @pytest.fixture
    def create_foreign(self, vcenter: Simulator) -> Callable[[str], None]:
        return lambda name: vcenter.create(Machine(f"k8s/{name}"))

    @pytest.fixture
    def break_creation(self, vcenter: Simulator) -> Callable[[str], AbstractContextManager[None]]:
        @contextmanager
        def broken(name: str) -> Iterator[None]:
            vcenter.fail("CloneVM_Task", name)
            yield
            vcenter.heal()

        return broken

    @pytest.fixture
    def read_boot_data(self, vcenter: Simulator) -> Callable[[Vm], str]:
        def read(vm: Vm) -> str:
            value = vcenter.vm(vm.name)["extra_config"]["guestinfo.userdata"]
            return gzip.decompress(base64.b64decode(value)).decode()

        return read


class TestBaking(BakingContract):
    @pytest.fixture
    def make_driver(self, vcenter: Simulator, driver_for: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: driver_for(vcenter, template="kube", bake_from="ubuntu")

    @pytest.fixture
    def guest_bakes(self, vcenter: Simulator) -> Callable[[Baked], None]:
        def bakes(baked: Baked) -> None:
            status = {"stage": "finish", "state": "done", "error": "", "baked": baked.document}
            vcenter.publish("kube.baking", {STATUS_KEY: json.dumps(status)})

        return bakes

    @pytest.fixture
    def create_foreign(self, vcenter: Simulator) -> Callable[[], None]:
        return lambda: vcenter.create(Machine("k8s/kube"))

    @pytest.fixture
    def read_boot_data(self, vcenter: Simulator) -> Callable[[], str]:
        def read() -> str:
            (held,) = [vm["extra_config"] for vm in vcenter.vms().values() if vm["name"].startswith("kube")]
            value = held.get("guestinfo.userdata", "")
            return gzip.decompress(base64.b64decode(value)).decode() if value else ""

        return read
