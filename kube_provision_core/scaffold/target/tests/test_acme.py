"""The driver keeps every promise that kube-provision relies on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from kube_provision_acme.config import AcmeConfig
from kube_provision_acme.driver import Acme
from kube_provision_acme.machines import Machines
from kube_provision_core import NodeStatus, Role, Stage, Vm
from kube_provision_core.testing import TargetContract, boot_of, cluster_of, node_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "machines"


@pytest.fixture
def make_driver(folder: Path) -> Callable[[], Acme]:
    return lambda: Acme(dict.fromkeys(Role, AcmeConfig(acme_folder=folder)))


class TestContract(TargetContract):
    @pytest.fixture
    def make_driver(self, make_driver: Callable[[], Acme]) -> Callable[[], Acme]:
        return make_driver

    @pytest.fixture
    def create_foreign(self, folder: Path) -> Callable[[str], None]:
        return lambda name: (folder / name).mkdir(parents=True)

    @pytest.fixture
    def break_creation(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], AbstractContextManager[None]]:
        @contextmanager
        def broken(name: str) -> Iterator[None]:
            def fail(self: Path, target: Path) -> Path:
                raise OSError("no space left")

            with monkeypatch.context() as patch:
                patch.setattr(Path, "rename", fail)
                yield

        return broken

    @pytest.fixture
    def read_boot_data(self, folder: Path) -> Callable[[Vm], str]:
        return lambda vm: (folder / vm.name / "user-data").read_text()


def test_every_machine_has_an_address_of_its_own(make_driver: Callable[[], Acme]) -> None:
    driver = make_driver()
    vms = [driver.provision_vm(node, boot_of(node)) for node in map(node_of, ("w-1", "w-2"))]
    assert [vm.address for vm in vms] == ["192.0.2.1", "192.0.2.2"]


def test_what_a_machine_has_published_is_listed(make_driver: Callable[[], Acme], folder: Path) -> None:
    driver, node = make_driver(), node_of("w-1")
    driver.provision_vm(node, boot_of(node))
    (folder / "w-1/status").write_text('{"stage": "finish", "state": "done", "error": ""}')
    (vm,) = driver.list_vms(cluster_of("w-1"))
    assert vm.status == NodeStatus(Stage.FINISH, "done")


def test_a_folder_that_is_a_file_is_told_before_anything_is_made(make_driver: Callable[[], Acme], folder: Path) -> None:
    Machines(folder).folder.write_text("")
    assert make_driver().preflight([]) == [f"acme_folder: {folder} is not a folder"]
