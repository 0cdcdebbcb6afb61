"""The driver keeps every promise of the target contract, on real QEMU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kube_provision_core import Vm
from kube_provision_core.testing import TargetContract

pytestmark = pytest.mark.integration


class TestQemu(TargetContract):
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
        return lambda vm: (Path(vm.id) / "seed.iso").read_bytes().decode("latin-1")

    @pytest.fixture
    def make_driver(self, make_driver: Callable[[], Any]) -> Callable[[], Any]:
        return make_driver
