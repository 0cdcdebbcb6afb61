"""The driver keeps every promise that kube-provision relies on."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kube_provision_acme import machines
from kube_provision_acme.config import AcmeConfig
from kube_provision_acme.driver import Acme
from kube_provision_core import Machine, Node, Role, Vm, replace_file
from kube_provision_core.testing import TargetContract

Context = AbstractContextManager[None]


class Killed(BaseException):
    """What `except Exception` does not catch, as a run that is killed runs nothing more."""


NETWORKS = {Role.MASTER: "192.0.2.0/26", Role.WORKER: "192.0.2.64/26", Role.DISCOVERY: "192.0.2.128/26"}
"""Each role's own, so that it shows whose configuration made a machine."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "machines"


@pytest.fixture
def make_driver(folder: Path) -> Callable[[], Acme]:
    config = {
        role: AcmeConfig.model_validate({"acme_folder": folder, "acme_network": network})
        for role, network in NETWORKS.items()
    }
    return lambda: Acme(config)


@pytest.fixture
def change(folder: Path) -> Callable[..., None]:
    """A function that changes what the hypervisor knows of a machine."""

    def change(name: str, **changes: Any) -> None:
        path = folder / name / "machine.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


class TestContract(TargetContract):
    """Every fixture that you can offer makes the suite look closer; of what you cannot, say why."""

    without: ClassVar[Mapping[str, str]] = {"test_arrange_vms_may_be_repeated": "folders do not mind who lies beside them"}

    @pytest.fixture
    def make_driver(self, make_driver: Callable[[], Acme]) -> Callable[[], Acme]:
        return make_driver

    @pytest.fixture
    def make_misled_driver(self, tmp_path: Path) -> Callable[[], Acme]:
        (tmp_path / "file").write_text("")
        config = AcmeConfig(acme_folder=tmp_path / "file")
        return lambda: Acme(dict.fromkeys(Role, config))

    @pytest.fixture
    def create_foreign(self, folder: Path) -> Callable[[str], None]:
        return lambda name: (folder / name).mkdir(parents=True)

    @pytest.fixture
    def break_creation(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Context]:
        @contextmanager
        def broken(name: str) -> Iterator[None]:
            def fail(self: Path, target: Path) -> Path:
                raise OSError("no space left")

            with monkeypatch.context() as patch:
                patch.setattr(Path, "rename", fail)
                yield

        return broken

    @pytest.fixture
    def kill_during(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Iterator[Context]]:
        """Before each write of a creation, and after each, for as long as it comes to one."""

        @contextmanager
        def kill(number: int, late: bool) -> Iterator[None]:
            writes = iter(range(1000))

            def write_or_die(path: Path, content: bytes) -> None:
                killed = next(writes) == number
                if not killed or late:
                    replace_file(path, content)
                if killed:
                    raise Killed

            with monkeypatch.context() as patch:
                patch.setattr(machines, "replace_file", write_or_die)
                yield

        return lambda name: (kill(number, late) for number in range(5) for late in (False, True))

    @pytest.fixture
    def silence(self, folder: Path) -> Callable[[], Context]:
        @contextmanager
        def unreachable() -> Iterator[None]:
            away = folder.rename(folder.with_name("away"))
            folder.write_text("not a folder")
            yield
            folder.unlink()
            away.rename(folder)

        return unreachable

    @pytest.fixture
    def hold_lock(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Node], Context]:
        monkeypatch.setattr(machines, "PATIENCE", 0.1)

        @contextmanager
        def hold(node: Node) -> Iterator[None]:
            with (folder / f".{node.name}.lock").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield

        return hold

    @pytest.fixture
    def damage(self, folder: Path) -> Callable[[Vm], None]:
        def damage(vm: Vm) -> None:
            (folder / vm.name / "machine.json").write_text("{")

        return damage

    @pytest.fixture
    def power_off(self, change: Callable[..., None]) -> Callable[[Vm], None]:
        return lambda vm: change(vm.name, power="off")

    @pytest.fixture
    def tell_addresses(self, change: Callable[..., None]) -> Callable[[Vm, Sequence[str]], None]:
        return lambda vm, addresses: change(vm.name, addresses=addresses)

    @pytest.fixture
    def publish(self, folder: Path) -> Callable[[Vm, str], None]:
        def publish(vm: Vm, text: str) -> None:
            (folder / vm.name / "status").write_text(text)

        return publish

    @pytest.fixture
    def read_boot_data(self, folder: Path) -> Callable[[Vm], str]:
        return lambda vm: (folder / vm.name / "user-data").read_text()

    @pytest.fixture
    def read_metadata(self, folder: Path) -> Callable[[Vm], str]:
        return lambda vm: (folder / vm.name / "meta-data").read_text()

    @pytest.fixture
    def read_size(self, folder: Path) -> Callable[[Vm], Machine]:
        return lambda vm: Machine(**json.loads((folder / vm.name / "machine.json").read_text())["size"])

    @pytest.fixture
    def read_role(self, folder: Path) -> Callable[[Vm], Role]:
        def read(vm: Vm) -> Role:
            (address,) = json.loads((folder / vm.name / "machine.json").read_text())["addresses"]
            (role,) = [role for role, network in NETWORKS.items() if ip_address(address) in ip_network(network)]
            return role

        return read

    @pytest.fixture
    def find_text(self, folder: Path) -> Callable[[str], Sequence[str]]:
        def find(text: str) -> list[str]:
            files = (path for path in folder.rglob("*") if path.is_file())
            return [str(path) for path in files if text.encode() in path.read_bytes()]

        return find

    @pytest.fixture
    def receive(self, folder: Path) -> Callable[[Vm], bytes]:
        def receive(vm: Vm) -> bytes:
            path = folder / vm.name / "task"
            return path.read_bytes() if path.exists() else b""

        return receive

    @pytest.fixture
    def attach_disk(self, folder: Path, tmp_path: Path) -> Callable[[Vm], Callable[[], bool]]:
        def attach(vm: Vm) -> Callable[[], bool]:
            disk = tmp_path / "volume.img"
            disk.write_text("data")
            (folder / vm.name / "volume").symlink_to(disk)
            return disk.exists

        return attach
