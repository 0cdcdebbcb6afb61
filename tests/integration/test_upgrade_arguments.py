"""What a step asks the programs of a new version, out of their images, as a real containerd keeps them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from machines.images import write_image
from servers import programs
from servers.containerd import containerd

from kube_provision_core import Machine, Node, Role, Stamp
from kube_provision_core.boot.tasks.upgrade import prepare
from kube_provision_core.cluster.settings import Setting, unread
from kube_provision_core.config.core import CoreConfig
from kube_provision_core.contract.packages import Packages

V = "1.37.0"
IMAGES = {name: f"registry.k8s.io/{name}:v{V}" for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")}
IMAGES |= {"etcd": "registry.k8s.io/etcd:3.6.8-0"}
EMPTY, ABSENT = "registry.k8s.io/empty:v1", "registry.k8s.io/absent:v1"
"""Of programs that upstream has none of: an image without it, and one that the node does not have."""
MASTER = Node("m-prod-1", Role.MASTER, 1, Machine(2, 2), Stamp("prod", "an-id", Role.MASTER, "spec"))
KEPT = """\
apiServer: {extraArgs: [{name: event-ttl, value: 2h}, {name: feature-gates, value: "SidecarContainers=true"}]}
etcd: {local: {extraArgs: [{name: quota-backend-bytes, value: "1"}]}}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of one whose containerd has the images, and whose kubeadm names them."""
    folder = tmp_path_factory.mktemp("node")
    kubeadm, listed = folder / "kubeadm", [*IMAGES.values(), EMPTY, ABSENT]
    kubeadm.write_text(f"#!/bin/sh\n[ $1 = version ] && echo v{V} || printf '%s\\n' {' '.join(listed)}\n")
    kubeadm.chmod(0o755)
    with containerd() as environment:
        # the usual snapshotter needs a file system that a folder of a test need not have
        told = {**os.environ, **environment, "CONTAINERD_SNAPSHOTTER": "native"}
        told["PATH"] = f"{folder}:{Path(environment['CTR']).parent}:{os.environ['PATH']}"
        write_image(folder / "empty.tar", EMPTY, {"etc/empty": b""})
        for name, image in IMAGES.items():
            programs.image(folder / f"{name}.tar", image)
        for archive in folder.glob("*.tar"):
            command = ["ctr", "--namespace", "k8s.io", "images", "import", str(archive)]
            subprocess.run(command, env=told, capture_output=True, timeout=60, check=True)
        yield told


@pytest.fixture
def ask(node: dict[str, str], tmp_path: Path) -> Callable[..., Sequence[str]]:
    """What the step complains of, after what else was done; nothing of it stays, however it ends.

    It mounts where nobody else sees it, so that a test that is killed leaves no mount where others clear up.
    """
    config = CoreConfig.model_validate({"name": "prod", "kubernetes_version": V, "target": "x", "os": "x", "discovery": "x"})
    opened = tmp_path / "programs"

    def step(cluster: str = "", kubelet: str = "", *more: Setting, before: str = "") -> Sequence[str]:
        task = prepare(MASTER, Packages(()), config, [*unread(cluster, kubelet), *more])
        (script,) = (owned.step.script for owned in task.steps if owned.step.name == "arguments")
        script = script.replace("/run/kube-provision/programs", str(opened))
        command = ["unshare", "--mount", "bash", "-euo", "pipefail", "-c", f"{before}\n{script}"]
        done = subprocess.run(command, env=node, capture_output=True, text=True, timeout=120, check=False)
        assert not [*opened.glob("*")]
        lines = done.stderr.splitlines() if done.returncode else []
        assert bool(lines) == bool(done.returncode), done
        return [line for line in lines if "does not take" in line or "could not ask" in line] or lines

    return step


def test_what_they_take_passes(ask: Callable[..., Sequence[str]]) -> None:
    assert ask(KEPT, "featureGates: {NodeSwap: true}") == []


def test_each_setting_that_they_do_not_take_is_told_in_a_line_with_where_it_stands(
    ask: Callable[..., Sequence[str]],
) -> None:
    scheduler = "scheduler: {extraArgs: [{name: long-gone, value: hunter2}]}\n"
    assert ask(f"{KEPT}{scheduler}", "featureGates: {LongGone: true, NodeSwap: true}") == [
        "v1.37.0 does not take kube-scheduler --long-gone (Error: unknown flag: --long-gone): "
        "take it out of the ConfigMap kubeadm-config in kube-system",
        'v1.37.0 does not take kubelet\'s feature gate LongGone ("unrecognized feature gate: LongGone"): '
        "take it out of the ConfigMap kubelet-config in kube-system",
    ]


def test_a_gate_that_cannot_be_set_any_more_is_told_as_well(ask: Callable[..., Sequence[str]]) -> None:
    (line,) = ask("apiServer: {extraArgs: [{name: feature-gates, value: NodeSwap=false}]}")
    assert (
        'kube-apiserver --feature-gates ("cannot set feature gate NodeSwap to false, feature is locked to true"): ' in line
    )


def test_etcd_s_own_way_of_refusing_is_told_without_its_usage(ask: Callable[..., Sequence[str]]) -> None:
    (line,) = ask("etcd: {local: {extraArgs: [{name: v2-store, value: x}]}}")
    assert "etcd --v2-store (flag provided but not defined: -v2-store): " in line


def test_what_an_attempt_has_left_that_was_killed_is_taken_away(ask: Callable[..., Sequence[str]], tmp_path: Path) -> None:
    left = tmp_path / "programs/kube-apiserver"
    before = f"mkdir -p {left}\nctr -n k8s.io images mount {IMAGES['kube-apiserver']} {left}\nmountpoint {left}"
    assert ask(KEPT, before=before) == []


@pytest.mark.parametrize("value", ["hunter2", 'a "quoted" hunter2', "x"])
def test_what_the_argument_says_is_not_told_with_it(ask: Callable[..., Sequence[str]], value: str) -> None:
    argument = {"name": "event-ttl", "value": value}
    (line,) = ask(f"apiServer: {{extraArgs: [{json.dumps(argument)}]}}")
    assert line.startswith(
        'v1.37.0 does not take kube-apiserver --event-ttl (Error: invalid argument "..." for "--event-ttl"'
    )
    assert "hunter2" not in line


def test_a_program_that_could_not_be_asked_is_not_taken_for_one_that_refuses(ask: Callable[..., Sequence[str]]) -> None:
    assert ask("", "", Setting("empty --v", "empty", "--v=2", "a place")) == [
        "could not ask empty of v1.37.0 (exit code 127)"
    ]


def test_an_image_that_is_not_there_fails_it(ask: Callable[..., Sequence[str]]) -> None:
    assert any("not found" in line for line in ask("", "", Setting("absent --v", "absent", "--v=2", "a place")))
