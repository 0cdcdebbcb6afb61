"""The driver that is sound, and the suite that bugs are planted under."""

from __future__ import annotations

import contextlib
from functools import cache
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import ClassVar

import pytest
from kube_provision_sound_target.config import SoundTargetConfig
from kube_provision_sound_target.contract import TestContract, change, folder, make_driver
from kube_provision_sound_target.driver import SoundTarget
from kube_provision_sound_target.machines import Machines

from kube_provision_core import Role, hookimpl
from kube_provision_core.testing import TargetContract

FIXTURES = {"change": change, "folder": folder, "make_driver": make_driver}


class Sound(SoundTarget):
    """With what the scaffold leaves out."""

    @hookimpl
    def arrange_vms(self, cluster, vms):
        return True


class Suite(TestContract):
    Driver = Sound
    patience = 3.0
    without: ClassVar[dict[str, str]] = {}
    test_arrange_vms_may_be_repeated = TargetContract.test_arrange_vms_may_be_repeated

    @pytest.fixture
    def make_driver(self, make_driver):
        return lambda: self.Driver(make_driver()._config)

    @pytest.fixture
    def make_misled_driver(self, tmp_path):
        (tmp_path / "file").write_text("")
        return lambda: self.Driver(dict.fromkeys(Role, SoundTargetConfig(sound_target_folder=tmp_path / "file")))

    @pytest.fixture
    def secrets(self):
        return ("password-of-the-target",)


def on(machines):
    """The driver, with other machines below it."""

    class Driver(Sound):
        def __init__(self, config):
            super().__init__(config)
            self._machines = machines(self._machines.folder)

    return Driver


class Unlocked(Machines):
    @contextlib.contextmanager
    def lock(self, name):
        self.folder.mkdir(exist_ok=True)
        yield


def meet(folder):
    """For two at once, without whom the bug would not show: the first waits for the other, however busy the machine is."""
    with contextlib.suppress(BrokenBarrierError):
        _pair(folder).wait(timeout=20)


@cache
def _pair(folder: Path) -> Barrier:
    return Barrier(2)
