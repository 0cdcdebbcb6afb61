"""Machines of real QEMU under tcg, small and few; whatever a test leaves running is ended after it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.debian import install
from servers.qemu import end_processes

from kube_provision_core import Role
from kube_provision_qemu.config import QemuConfig
from kube_provision_qemu.driver import Qemu
from kube_provision_qemu.power import Bounds

MakeDriver = Callable[..., Qemu]


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    install("qemu-system-x86", "qemu-utils")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk of 64 MiB with nothing on it: machines made from it run their firmware and wait."""
    disk = tmp_path_factory.mktemp("template") / "empty.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"], check=True, timeout=60)
    return disk


@pytest.fixture
def vm_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "vms"
    yield folder
    end_processes(folder)


@pytest.fixture
def make_driver(vm_dir: Path, template: Path) -> MakeDriver:
    """A function that makes drivers of one target; keys may be given, and seconds for the power button."""

    def make(*, powerdown: float = 0.1, **keys: Any) -> Qemu:
        config = QemuConfig(**{"template": template, "vm_dir": vm_dir, "qemu_accelerator": "tcg", **keys})
        driver = Qemu(dict.fromkeys(Role, config))
        driver.bounds = Bounds(powerdown=powerdown, agent=0.1, quit=5.0)
        return driver

    return make


@pytest.fixture
def driver(make_driver: MakeDriver) -> Qemu:
    return make_driver()
