"""The driver keeps every promise of the target contract, against the simulator."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

import pytest
from servers.simulator import STATUS_KEY, Simulator
from servers.simulator import Machine as Foreign

from kube_provision_core import Baked, GuestInfo, Machine, Vm
from kube_provision_core.testing import BakingContract, TargetContract
from kube_provision_vsphere import fleet
from kube_provision_vsphere.client.machines import Machines
from kube_provision_vsphere.stamp import STAMP

pytestmark = pytest.mark.integration


class TestVsphere(TargetContract):
    without: ClassVar[Mapping[str, str]] = {
        "read_role": "test_provision.py makes machines of several roles",
        "tell_addresses": "test_addresses.py: a simulated guest tells its addresses when it starts, and no more",
        "hold_lock": "vCenter locks by itself",
    }

    @pytest.fixture(autouse=True)
    def _looks_at_all_every_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A look at the whole datacenter is good for half a minute, in which nobody else makes machines; here others do."""
        monkeypatch.setattr(fleet, "SCAN_SECONDS", 0.0)

    @pytest.fixture
    def make_driver(self, vcenter: Simulator, driver_for: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: driver_for(vcenter, failure_domains={"zone-a": {"cluster": "DC0_C0"}})

    @pytest.fixture
    def secrets(self, vcenter: Simulator) -> Sequence[str]:
        return [vcenter.password]

    @pytest.fixture
    def create_foreign(self, vcenter: Simulator) -> Callable[[str], None]:
        return lambda name: vcenter.create(Foreign(f"k8s/{name}"))

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

    @pytest.fixture
    def receive(self, vcenter: Simulator) -> Callable[[Vm], bytes]:
        return lambda vm: base64.b64decode(vcenter.vm(vm.name)["extra_config"].get(GuestInfo.TASK, ""))

    @pytest.fixture
    def attach_disk(self, vcenter: Simulator) -> Callable[[Vm], Callable[[], bool]]:
        def attach(vm: Vm) -> Callable[[], bool]:
            file = vcenter.attach(vm.name)
            return lambda: file in vcenter.disks()

        return attach

    @pytest.fixture
    def make_misled_driver(self, vcenter: Simulator, driver_for: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: driver_for(vcenter, template="nowhere")

    @pytest.fixture
    def power_off(self, vcenter: Simulator, driver_for: Callable[..., Any]) -> Callable[[Vm], None]:
        def power_off(vm: Vm) -> None:
            driver_for(vcenter)._target.vcenter.machines.power_off(vm.name, vm.id)

        return power_off

    @pytest.fixture
    def publish(self, vcenter: Simulator) -> Callable[[Vm, str], None]:
        return lambda vm, text: vcenter.publish(vm.name, {STATUS_KEY: text})

    @pytest.fixture
    def read_metadata(self, vcenter: Simulator) -> Callable[[Vm], str]:
        return lambda vm: _plain(vcenter.vm(vm.name)["extra_config"]["guestinfo.metadata"])

    @pytest.fixture
    def read_size(self, vcenter: Simulator) -> Callable[[Vm], Machine]:
        def read(vm: Vm) -> Machine:
            found = vcenter.vm(vm.name)
            further = tuple(disk["gib"] for disk in found["disks"][1:])
            return Machine(found["cpu"], found["memory_mib"] // 1024, data_volumes_gib=further)

        return read

    @pytest.fixture
    def find_text(self, vcenter: Simulator) -> Callable[[str], Sequence[str]]:
        def find(text: str) -> list[str]:
            held = [(vm, key, value) for vm in vcenter.vms().values() for key, value in vm["extra_config"].items()]
            found = [f"{vm['path']} {key}" for vm, key, value in held if text in value + _plain(value) + _task(value)]
            return [*found, *(vm["path"] for vm in vcenter.vms().values() if text in vm["annotation"])]

        return find

    @pytest.fixture
    def silence(self, vcenter: Simulator) -> Callable[[], AbstractContextManager[None]]:
        @contextmanager
        def silent() -> Iterator[None]:
            """Something answers, and it is no vCenter: what does not answer at all is asked again for a while."""
            vcenter.trouble("garbage", times=0)
            yield
            vcenter.heal()

        return silent

    @pytest.fixture
    def damage(self, vcenter: Simulator) -> Callable[[Vm], None]:
        return lambda vm: vcenter.publish(vm.name, {STAMP: "{"})

    @pytest.fixture
    def kill_during(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Iterator[AbstractContextManager[None]]]:
        """Before and after the one call that makes a machine."""

        @contextmanager
        def kill(*, late: bool) -> Iterator[None]:
            clone = Machines.clone

            def killed(machines: Machines, order: Any) -> str:
                if late:
                    clone(machines, order)
                raise Killed

            with monkeypatch.context() as patch:
                patch.setattr(Machines, "clone", killed)
                yield

        return lambda name: iter((kill(late=False), kill(late=True)))


class Killed(BaseException):
    """What `except Exception` does not catch."""


def _plain(value: str) -> str:
    """What guestinfo encodes; empty for anything else."""
    try:
        return gzip.decompress(base64.b64decode(value)).decode()
    except (ValueError, OSError):
        return ""


def _task(value: str) -> str:
    return GuestInfo.waiting(value).decode(errors="replace")


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
        return lambda: vcenter.create(Foreign("k8s/kube"))

    @pytest.fixture
    def read_boot_data(self, vcenter: Simulator) -> Callable[[], str]:
        def read() -> str:
            (held,) = [vm["extra_config"] for vm in vcenter.vms().values() if vm["name"].startswith("kube")]
            value = held.get("guestinfo.userdata", "")
            return gzip.decompress(base64.b64decode(value)).decode() if value else ""

        return read
