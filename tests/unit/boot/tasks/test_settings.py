"""How a kubelet that runs takes other settings: the step's script, with programs in place of systemd's and the kubelet's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_provision_core import Node, Role
from kube_provision_core.boot import kubelet
from kube_provision_core.boot.tasks import Task
from kube_provision_core.boot.tasks.settings import NEW, kubelet_settings
from kube_provision_core.config.core import CoreConfig

MakeNode = Callable[..., Node]


def config(**settings: Any) -> CoreConfig:
    needed = {"name": "prod", "target": "fake", "os": "debian", "discovery": "fake"}
    return CoreConfig.model_validate({**needed, "kubelet": settings})


class Machine:
    """A folder in place of `/`. Its kubelet does not start with settings that say `broken`."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin = root, root / "bin"
        self.settings, self.flags = self.at(kubelet.SETTINGS), self.at("/var/lib/kubelet/kubeadm-flags.env")
        for path in (self.bin, self.at(NEW).parent, self.flags.parent):
            path.mkdir(parents=True)
        self.flags.write_text('KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.5"\n')
        reads = f'grep --quiet -e --config-dir {self.flags} && grep --quiet broken "{self.settings}" 2>/dev/null'
        self.program("systemctl", f'if [ "$1" = show ]; then {reads} && echo 3 || echo 0; else echo "$*" >>{root}/told; fi')
        self.program("curl", f"! {{ {reads}; }}")
        self.program("journalctl", "echo 'failed to run Kubelet: it is broken'")

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def do(self, task: Task) -> subprocess.CompletedProcess[str]:
        (file,), (owned,) = task.files, task.steps
        self.at(file.path).write_text(str(file.content))
        script = owned.step.script
        for place in ("/etc/kubernetes", "/var/lib"):
            script = script.replace(place, str(self.at(place)))
        env = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}
        command = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)

    @property
    def left(self) -> set[str]:
        """Files of the step's own."""
        return {path.name for path in (*self.at(NEW).parent.iterdir(), *self.settings.parent.glob("*.part"))}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def task(make_node: MakeNode) -> Callable[..., Task]:
    return lambda **settings: kubelet_settings(make_node(Role.WORKER), config(**settings))


def test_one_that_was_made_without_any_is_told_where_they_lie(machine: Machine, task: Callable[..., Task]) -> None:
    done = machine.do(task(maxPods=200))
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(machine.settings.read_text())["maxPods"] == 200
    folder = machine.at("/etc/kubernetes/kubelet.conf.d")
    assert machine.flags.read_text() == f'KUBELET_KUBEADM_ARGS="--config-dir={folder} --node-ip=10.0.0.5"\n'
    assert machine.left == set()


def test_a_kubelet_beside_swap_goes_on_being_told_to_run_there(machine: Machine, make_node: MakeNode) -> None:
    swapping = config(maxPods=200).model_copy(update={"swap": True})
    assert machine.do(kubelet_settings(make_node(Role.WORKER), swapping)).returncode == 0
    told = yaml.safe_load(machine.settings.read_text())
    assert (told["failSwapOn"], told["maxPods"]) == (False, 200)


def test_others_take_the_place_of_those_of_before_and_the_kubelet_is_told_once(
    machine: Machine, task: Callable[..., Task]
) -> None:
    for pods in (110, 200):
        assert machine.do(task(maxPods=pods)).returncode == 0
    assert yaml.safe_load(machine.settings.read_text())["maxPods"] == 200
    assert machine.flags.read_text().count("--config-dir=") == 1
    assert machine.at("told").read_text().splitlines() == ["restart kubelet.service"] * 2


def test_without_any_it_is_as_if_there_never_were_some(machine: Machine, task: Callable[..., Task]) -> None:
    machine.do(task(maxPods=200))
    assert machine.do(task()).returncode == 0
    assert yaml.safe_load(machine.settings.read_text()).keys() == {"apiVersion", "kind"}


@pytest.mark.parametrize("before", [{"maxPods": 110}, None])
def test_with_which_it_does_not_start_are_taken_back(
    machine: Machine, task: Callable[..., Task], before: dict[str, Any] | None
) -> None:
    if before:
        machine.do(task(**before))
    done = machine.do(task(nodeLeaseDurationSeconds=9, allowedUnsafeSysctls=["broken.*"]))
    assert done.returncode == 1
    assert "not healthy with its new settings, which are taken back; it said:\nfailed to run Kubelet" in done.stderr
    assert "either" not in done.stderr
    assert (yaml.safe_load(machine.settings.read_text())["maxPods"] == 110) if before else not machine.settings.exists()
    assert machine.left == {Path(NEW).name}


def test_those_of_before_are_known_still_after_a_power_cut(machine: Machine, task: Callable[..., Task]) -> None:
    """The kubelet was about to start with the new ones."""
    machine.do(task(maxPods=110))
    before, broken = machine.settings.read_text(), task(allowedUnsafeSysctls=["broken.*"])
    machine.at(f"{NEW}.before").write_text(before)
    machine.settings.write_text(str(broken.files[0].content))
    assert machine.do(broken).returncode == 1
    assert machine.settings.read_text() == before


def test_where_those_of_before_do_not_help_that_is_said_too(machine: Machine, task: Callable[..., Task]) -> None:
    machine.do(task(maxPods=110))
    machine.settings.write_text("broken\n")
    done = machine.do(task(allowedUnsafeSysctls=["broken.*"]))
    assert done.returncode == 1
    assert done.stderr.endswith("it is not healthy with those of before either\n")
