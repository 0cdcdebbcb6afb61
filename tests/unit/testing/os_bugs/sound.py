"""The driver that is sound, the suite that bugs are planted under, and ways to plant them."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from kube_provision_sound_os.driver import SoundOs as Sound
from test_sound_os import TestContract

from kube_provision_core import hookimpl

FIXTURES = {}


class Suite(TestContract):
    Driver = Sound

    @pytest.fixture
    def make_driver(self):
        return lambda: self.Driver({})

    @pytest.fixture
    def secrets(self):
        return ("password-of-the-mirror",)


def answering(change):
    """The driver, with something else in its answer."""

    class Driver(Sound):
        @hookimpl
        def os_packages(self, components, versions, repositories, extra):
            return change(super().os_packages(components, versions, repositories, extra))

    return Driver


def asked(change):
    """The driver, asked for something else."""

    class Driver(Sound):
        @hookimpl
        def os_packages(self, components, versions, repositories, extra):
            return super().os_packages(*change(components, versions, repositories, extra))

    return Driver


def scripted(old, new):
    """The driver, with something else in the script that installs."""

    def change(packages):
        assert old in packages.steps[0].script or not packages.names
        return replace(packages, steps=tuple(replace(it, script=it.script.replace(old, new)) for it in packages.steps))

    return answering(change)


def filed(change):
    """The driver, with something else in its repositories' definitions."""
    return answering(
        lambda packages: replace(packages, files=tuple(replace(it, content=change(it.content)) for it in packages.files))
    )


def named(change):
    """The driver, with other names, in the script too."""

    class Driver(Sound):
        @hookimpl
        def os_packages(self, components, versions, repositories, extra):
            packages = super().os_packages(components, versions, repositories, extra)
            names = tuple(filter(None, map(change, packages.names)))
            (step,) = packages.steps
            _, tail = step.script.split("\n", 1)
            script = f"wanted=({' '.join(map(shlex.quote, names))})\n{tail}"
            return replace(packages, names=names, steps=(replace(step, script=script),))

    return Driver
