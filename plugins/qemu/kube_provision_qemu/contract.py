"""The driver keeps every promise of the target contract, on machines of real QEMU that have nothing to boot."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kube_provision_core import Machine, NoCloudSeed, Node, Role, TargetError, Vm
from kube_provision_core.testing import TargetContract
from kube_provision_qemu import emulator, files, power, processes, qmp, record
from kube_provision_qemu.config import QemuConfig
from kube_provision_qemu.disks import GIB
from kube_provision_qemu.driver import Qemu
from kube_provision_qemu.places import Places
from kube_provision_qemu.power import Bounds

PORTS = {Role.MASTER: 9001, Role.WORKER: 9002, Role.DISCOVERY: 9003}
MAILBOX = 1024 * 1024
"""Bytes at the end of a seed."""


class TestQemu(TargetContract):
    without: ClassVar[Mapping[str, str]] = {
        "tell_addresses": "the driver itself says which addresses its machines have",
        "test_arrange_vms_may_be_repeated": "there is one host",
    }

    @pytest.fixture
    def out_of_reach(self) -> str:
        """QEMU is, where it is not installed."""
        try:
            emulator.find(None, "tcg")
        except TargetError as missing:
            return str(missing)
        return ""

    @pytest.fixture
    def vm_dir(self, tmp_path: Path) -> Iterator[Path]:
        """Whatever a check leaves running there is ended after it."""
        folder = tmp_path / "vms"
        yield folder
        for pattern in ("machines/*/pid", "networks/*/pid", "networks/*/switch.pid"):
            for pid_file in folder.glob(pattern):
                processes.kill(pid_file)

    @pytest.fixture
    def template(self, tmp_path: Path, out_of_reach: str) -> Path:
        """A disk of 64 MiB with nothing on it: machines that are made of it run their firmware and wait."""
        disk = tmp_path / "empty.qcow2"
        if not out_of_reach:
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"], check=True, timeout=60)
        return disk

    @pytest.fixture
    def make_driver(self, vm_dir: Path, template: Path) -> Callable[[], Qemu]:
        """Each role has a port of its own, so that it shows whose configuration made a machine."""
        keys = {"template": template, "vm_dir": vm_dir, "qemu_accelerator": "tcg"}
        config = {role: QemuConfig.model_validate(keys | {"forwarded_ports": (port,)}) for role, port in PORTS.items()}

        def make() -> Qemu:
            driver = Qemu(config)
            driver.bounds = Bounds(powerdown=0.1, agent=0.1, quit=5.0)
            return driver

        return make

    @pytest.fixture
    def create_foreign(self, vm_dir: Path) -> Callable[[str], None]:
        return lambda name: (vm_dir / "machines" / name).mkdir(parents=True)

    @pytest.fixture
    def break_creation(self, vm_dir: Path) -> Callable[[str], AbstractContextManager[None]]:
        @contextmanager
        def broken(name: str) -> Iterator[None]:
            """A file stands where the networks' folder should be: the machine is made and cannot be connected."""
            in_the_way = vm_dir / "networks"
            in_the_way.parent.mkdir(parents=True, exist_ok=True)
            in_the_way.touch()
            yield
            in_the_way.unlink()

        return broken

    @pytest.fixture
    def read_boot_data(self) -> Callable[[Vm], str]:
        """Without the place for tasks behind it."""
        return lambda vm: (Path(vm.id) / "seed.iso").read_bytes()[:-MAILBOX].decode("latin-1")

    @pytest.fixture
    def receive(self) -> Callable[[Vm], bytes]:
        """By what a receiver looks at."""

        def receive(vm: Vm) -> bytes:
            place = (Path(vm.id) / "seed.iso").read_bytes()[-MAILBOX:]
            length, digest = place.splitlines()[0].removeprefix(b"kube-provision task ").decode().split()
            task = place[4096:][: int(length)]
            assert hashlib.sha256(task).hexdigest() == digest
            return task

        return receive

    @pytest.fixture
    def attach_disk(self, vm_dir: Path) -> Callable[[Vm], Callable[[], bool]]:
        def attach(vm: Vm) -> Callable[[], bool]:
            (Path(vm.id) / "volume.qcow2").write_bytes(b"somebody's data")
            return lambda: any(disk.read_bytes() == b"somebody's data" for disk in vm_dir.rglob("volume.qcow2"))

        return attach

    @pytest.fixture
    def make_misled_driver(self, vm_dir: Path, template: Path) -> Callable[[], Qemu]:
        config = QemuConfig(template=template.with_name("nowhere.qcow2"), vm_dir=vm_dir, qemu_accelerator="tcg")
        return lambda: Qemu(dict.fromkeys(Role, config))

    @pytest.fixture
    def read_role(self) -> Callable[[Vm], Role]:
        def read(vm: Vm) -> Role:
            (role,) = [role for role, port in PORTS.items() if port in _record(vm).ports]
            return role

        return read

    @pytest.fixture
    def read_size(self) -> Callable[[Vm], Machine]:
        """Of disks what the machine itself has."""

        def read(vm: Vm) -> Machine:
            with qmp.session(Path(vm.id) / "qmp.sock") as session:
                disks = {disk["device"]: disk["inserted"]["image"] for disk in session.execute("query-block")}
            further = tuple(disk["virtual-size"] // GIB for name, disk in disks.items() if name.startswith("data"))
            return Machine(_record(vm).cpu, _record(vm).memory_gib, data_volumes_gib=further)

        return read

    @pytest.fixture
    def read_metadata(self, read_boot_data: Callable[[Vm], str]) -> Callable[[Vm], str]:
        def read(vm: Vm) -> str:
            found = re.search(r'\{"instance-id".*\}', read_boot_data(vm))
            assert found
            return found[0]

        return read

    @pytest.fixture
    def find_text(self, vm_dir: Path) -> Callable[[str], Sequence[str]]:
        def find(text: str) -> list[str]:
            files = [path for path in vm_dir.rglob("*") if path.is_file()]
            return [str(path) for path in files if text.encode() in path.read_bytes()]

        return find

    @pytest.fixture
    def power_off(self) -> Callable[[Vm], None]:
        def power_off(vm: Vm) -> None:
            processes.kill(Path(vm.id) / "pid")

        return power_off

    @pytest.fixture
    def publish(self) -> Callable[[Vm, str], None]:
        def publish(vm: Vm, text: str) -> None:
            with (Path(vm.id) / "status").open("a") as port:
                port.write(f"{text}\n")

        return publish

    @pytest.fixture
    def silence(self, vm_dir: Path) -> Callable[[], AbstractContextManager[None]]:
        @contextmanager
        def silent() -> Iterator[None]:
            """The folder's file system is not mounted; a file lies in its place."""
            away = vm_dir.rename(vm_dir.with_name("away"))
            vm_dir.touch()
            yield
            vm_dir.unlink()
            away.rename(vm_dir)

        return silent

    @pytest.fixture
    def hold_lock(self, vm_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Node], AbstractContextManager[None]]:
        monkeypatch.setattr(files, "LOCK_TIMEOUT", 0.1)
        return lambda node: Places(vm_dir).lock_machine(node.name)

    @pytest.fixture
    def damage(self) -> Callable[[Vm], None]:
        def damage(vm: Vm) -> None:
            (Path(vm.id) / "machine.json").write_text("{")

        return damage

    @pytest.fixture
    def kill_during(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Iterator[AbstractContextManager[None]]]:
        """When its seed is written, when its record is, before it is started, and after."""

        @contextmanager
        def kill(owner: Any, name: str, *, late: bool) -> Iterator[None]:
            call = getattr(owner, name)

            def killed(*arguments: Any, **keywords: Any) -> None:
                if late:
                    call(*arguments, **keywords)
                raise Killed

            with monkeypatch.context() as patch:
                patch.setattr(owner, name, killed)
                yield

        def moments(name: str) -> Iterator[AbstractContextManager[None]]:
            yield kill(NoCloudSeed, "write", late=True)
            yield kill(record, "write", late=True)
            yield kill(power, "start", late=False)
            yield kill(power, "start", late=True)

        return moments


class Killed(BaseException):
    """What `except Exception` does not catch."""


def _record(vm: Vm) -> record.Record:
    found = record.read(Path(vm.id))
    assert found
    return found
