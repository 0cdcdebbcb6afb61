"""What machines are given to do in an upgrade, and the scripts of its steps: with programs in place of the real ones."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kube_provision_centos.driver import CentOS
from kube_provision_core import Component, Node, Packages, Role
from kube_provision_core.boot.tasks import Task, seal
from kube_provision_core.boot.tasks.upgrade import control_plane, kubelet, prepare, system
from kube_provision_core.config.core import CoreConfig
from kube_provision_core.folder.pki import JoinSecrets
from kube_provision_debian.driver import Debian

V = "1.37.2"
SMALLEST_MAILBOX = 49_152
"""Bytes, on vSphere."""
SYSTEMS: Mapping[str, Any] = {"debian": Debian, "centos": CentOS}
REPOSITORY = "registry.k8s.io"
IMAGES = [
    *(f"{REPOSITORY}/{name}:v{V}" for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")),
    *(f"{REPOSITORY}/coredns/coredns:v1.13.1", f"{REPOSITORY}/pause:3.10.2", f"{REPOSITORY}/etcd:3.6.6-0"),
]
ON_WORKERS = [IMAGES[3], IMAGES[5]]

MakeNode = Callable[..., Node]


def packages(system: str, *components: Component) -> Packages:
    found: Packages = SYSTEMS[system]({}).os_packages(frozenset(components), {"kubeadm": V}, {}, frozenset())
    return found


def config(**keys: Any) -> CoreConfig:
    needed = {"name": "prod", "kubernetes_version": V, "target": "fake", "os": "debian", "discovery": "fake"}
    return CoreConfig.model_validate({**needed, **keys})


def prepared(node: Node, system: str = "debian", **keys: Any) -> Task:
    return prepare(node, packages(system, Component.KUBEADM_ALONE), config(**keys))


def of_control_plane(node: Node, *, first: bool = False, **keys: Any) -> Task:
    return control_plane(node, V, first, config(**keys))


def of_kubelet(node: Node, system: str = "debian", **keys: Any) -> Task:
    return kubelet(node, V, packages(system, Component.KUBEADM), config(**keys))


def tasks(node: Node, system: str) -> list[Task]:
    of_node = [prepared(node, system), of_kubelet(node, system), whole_system(node, system)]
    of_master = [of_control_plane(node, first=first) for first in (True, False)]
    return of_node + (of_master if node.role is Role.MASTER else [])


def whole_system(node: Node, name: str = "debian") -> Task:
    return system(node, V, SYSTEMS[name]({}).upgrade_packages())


def steps(task: Task) -> list[str]:
    return [f"{owned.plugin}/{owned.step.name}" for owned in task.steps]


def script(task: Task, name: str) -> str:
    return next(owned.step.script for owned in task.steps if owned.step.name == name)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
def test_every_task_fits_the_smallest_mailbox(role: Role, system: str, make_node: MakeNode, secrets: JoinSecrets) -> None:
    node = make_node(role)
    for task in tasks(node, system):
        assert len(seal(task, node.name, node.stamp, secrets.pki).content) < SMALLEST_MAILBOX, task.verb


def test_a_master_gets_its_control_plane_first_and_its_kubelet_later(make_node: MakeNode) -> None:
    master = make_node()
    verbs = ["prepare-upgrade", "upgrade-kubelet", "upgrade-os", "upgrade", "upgrade"]
    assert [task.verb for task in tasks(master, "debian")] == verbs
    assert steps(of_control_plane(master, first=True)) == ["kubernetes/images", "kubernetes/control-plane"]
    assert steps(of_kubelet(master)) == ["packages/packages", "kubernetes/kubelet"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_worker_takes_settings_then_packages_then_starts_its_kubelet_anew(system: str, make_node: MakeNode) -> None:
    task = of_kubelet(make_node(Role.WORKER), system)
    found = steps(task)
    own = ("kubernetes/settings", "packages/packages", "kubernetes/images", "kubernetes/kubelet")
    order = [found.index(f"{whose}") for whose in own]
    assert order == sorted(order)
    assert "kube_provision_node.upgrade worker 1.37.2\n" in script(task, "settings")


def test_the_first_master_upgrades_the_cluster(make_node: MakeNode) -> None:
    assert "kube_provision_node.upgrade apply 1.37.2\n" in script(of_control_plane(make_node(), first=True), "control-plane")
    assert "kube_provision_node.upgrade node 1.37.2\n" in script(of_control_plane(make_node()), "control-plane")


@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
def test_kubeadm_alone_is_installed_beforehand(role: Role, make_node: MakeNode) -> None:
    task = prepared(make_node(role))
    of_master = ["kubernetes/settings"] if role is Role.MASTER else []
    assert steps(task) == ["packages/packages", "packages/fetch", *of_master, "kubernetes/images"]
    assert f"'kubeadm={V}-*'" in script(task, "packages")
    assert "kubelet=" not in script(task, "packages")
    assert f"'kubelet={V}-*'" in script(task, "fetch")


# --- the scripts of steps ------------------------------------------------------------------------------------------


class Machine:
    """Programs that write down what they were told."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin = root, root / "bin"
        self.bin.mkdir()
        self.told, self.present = root / "told", root / "present"
        self.told.touch()
        self.present.touch()
        listed = "\n".join(IMAGES)
        images = f'[ "$3" = list ] && echo "{listed}" || echo "kubeadm $*" >>{self.told}'
        self.program("kubeadm", f"if [ $1 = version ]; then echo v{V}; else {images}; fi")
        self.program("ctr", f'[ $4 = list ] && cat {self.present} || {{ echo "ctr $*" >>{self.told}; {self.imports()} }}')
        self.program("crictl", f'echo "crictl $*" >>{self.told}')

    def imports(self) -> str:
        return f"cat $5 >>{self.present};"

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-euo", "pipefail", "-c", script]
        env = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)

    @property
    def done(self) -> list[str]:
        return self.told.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("known", [True, False])
def test_a_master_has_the_new_kubeadm_read_what_the_cluster_is_configured_with(
    machine: Machine, known: bool, make_node: MakeNode
) -> None:
    machine.program("kubectl", 'echo "of: $7 $9"')
    machine.program("kubeadm", f"echo kubeadm $1 $2 >>{machine.told}; cat $4 >>{machine.told}; {str(known).lower()}")
    assert (machine.run(script(prepared(make_node()), "settings")).returncode == 0) is known
    assert machine.done == [
        "kubeadm config validate",
        "of: kubeadm-config jsonpath={.data.ClusterConfiguration}",
        "---",
        "of: kubelet-config jsonpath={.data.kubelet}",
    ]


def images(node: Node, **keys: Any) -> str:
    return script(prepared(node, **keys), "images")


@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
def test_images_that_are_there_are_not_asked_for(machine: Machine, role: Role, make_node: MakeNode) -> None:
    machine.present.write_text("\n".join(IMAGES if role is Role.MASTER else ON_WORKERS))
    assert machine.run(images(make_node(role))).returncode == 0
    assert machine.done == []


def test_a_master_pulls_what_it_lacks(machine: Machine, make_node: MakeNode) -> None:
    machine.present.write_text("\n".join(IMAGES[1:]))
    assert machine.run(images(make_node(), image_repository="mirror.example/k8s")).returncode == 0
    assert machine.done == [f"kubeadm config images pull --kubernetes-version v{V} --image-repository mirror.example/k8s"]


def test_a_worker_pulls_what_workers_run_and_no_more(machine: Machine, make_node: MakeNode) -> None:
    assert machine.run(images(make_node(Role.WORKER))).returncode == 0
    runtime = "--runtime-endpoint unix:///run/containerd/containerd.sock"
    assert machine.done == [f"crictl {runtime} pull {image}" for image in ON_WORKERS]


@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
def test_archives_are_imported_again_where_an_image_is_lacking(
    machine: Machine, role: Role, make_node: MakeNode, tmp_path: Path
) -> None:
    """Whatever was imported at the machine's first boot: a newer version has come into the folder since."""
    archives = tmp_path / "archives"
    archives.mkdir()
    (archives / "new.tar").write_text("\n".join(["", *IMAGES, ""]))
    for _ in range(2):
        done = machine.run(images(make_node(role), image_archives=str(archives)))
        assert (done.returncode, done.stderr) == (0, "")
        assert machine.done == [f"ctr --namespace k8s.io images import {archives}/new.tar"]


@pytest.mark.parametrize(("role", "turn"), [(Role.MASTER, of_control_plane), (Role.WORKER, of_kubelet)])
def test_images_that_a_kubelet_has_deleted_since_are_there_again_at_the_nodes_turn(
    machine: Machine, role: Role, turn: Callable[..., Task], make_node: MakeNode, tmp_path: Path
) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    (archives / "new.tar").write_text("\n".join(["", *IMAGES, ""]))
    node = make_node(role)
    assert machine.run(images(node, image_archives=str(archives))).returncode == 0
    machine.present.write_text("\n".join(IMAGES[:4]))
    assert machine.run(script(turn(node, image_archives=str(archives)), "images")).returncode == 0
    assert set(IMAGES) <= set(machine.present.read_text().splitlines())


def test_what_archives_lack_is_said_and_pulled(machine: Machine, make_node: MakeNode, tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    (archives / "old.tar").write_text("\n".join(["", *IMAGES[1:], ""]))
    done = machine.run(images(make_node(), image_archives=str(archives)))
    assert done.stderr == f"image_archives lacks {IMAGES[0]}: pulling\n"
    assert machine.done[1:] == [f"kubeadm config images pull --kubernetes-version v{V}"]


@pytest.mark.parametrize("program", ["ctr", "kubeadm"])
def test_images_that_nobody_knows_of_are_no_success(machine: Machine, program: str, make_node: MakeNode) -> None:
    machine.program(program, "exit 1")
    assert machine.run(images(make_node(Role.WORKER))).returncode == 1


def kubelet_step(make_node: MakeNode) -> str:
    return script(of_kubelet(make_node()), "kubelet")


def test_the_kubelet_is_started_anew_and_waited_for(machine: Machine, make_node: MakeNode, tmp_path: Path) -> None:
    machine.program("kubelet", f"echo Kubernetes v{V}")
    machine.program("systemctl", f'echo "systemctl $*" >>{machine.told}')
    machine.program("sleep", f'echo "slept" >>{machine.told}')
    machine.program("curl", f"[ $(wc -l <{machine.told}) -ge 4 ]")
    assert machine.run(kubelet_step(make_node)).returncode == 0
    assert machine.done == ["systemctl daemon-reload", "systemctl restart kubelet.service", "slept", "slept"]


def test_a_kubelet_that_is_not_healthy_says_why(machine: Machine, make_node: MakeNode) -> None:
    machine.program("kubelet", f"echo Kubernetes v{V}")
    for name, what in {"systemctl": "true", "sleep": "true", "curl": "exit 7", "journalctl": "echo swap is on"}.items():
        machine.program(name, what)
    done = machine.run(kubelet_step(make_node))
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["the kubelet is not healthy 600 s after it was started anew; it said:", "swap is on"]


def test_a_kubelet_of_another_version_is_not_started_anew(machine: Machine, make_node: MakeNode) -> None:
    machine.program("kubelet", "echo Kubernetes v1.36.4")
    machine.program("systemctl", f'echo "systemctl $*" >>{machine.told}')
    done = machine.run(kubelet_step(make_node))
    assert (done.returncode, done.stderr) == (1, "kubelet here is Kubernetes v1.36.4, and v1.37.2 is needed\n")
    assert machine.done == []


def test_a_system_is_upgraded_while_its_master_is_away(make_node: MakeNode) -> None:
    order = ["kubernetes/leave", "packages/packages", "kubernetes/reboot", "kubernetes/kubelet", "kubernetes/return"]
    assert steps(whole_system(make_node())) == order
    assert "kube_provision_node.upgrade leave\n" in script(whole_system(make_node()), "leave")
    assert "kube_provision_node.upgrade return\n" in script(whole_system(make_node()), "return")
    assert steps(whole_system(make_node(Role.WORKER))) == order[1:-1]
    assert whole_system(make_node(Role.WORKER)).files == ()


def reboot(machine: Machine, node: Node) -> subprocess.CompletedProcess[str]:
    return machine.run(script(whole_system(node), "reboot").replace("/run/", f"{machine.root}/run/"))


def test_a_machine_that_need_not_reboot_does_not(machine: Machine, make_node: MakeNode) -> None:
    machine.program("systemctl", f'echo "systemctl $*" >>{machine.told}')
    assert reboot(machine, make_node()).returncode == 0
    assert machine.done == []


def test_one_that_must_is_not_done_before_it_has(machine: Machine, make_node: MakeNode) -> None:
    (machine.root / "run").mkdir()
    (machine.root / "run/reboot-required").touch()
    machine.program("systemctl", f'echo "systemctl $*" >>{machine.told}')
    machine.program("sleep", "true")
    done = reboot(machine, make_node())
    assert (done.returncode, machine.done) == (1, ["systemctl reboot"])
    assert "the machine does not reboot" in done.stderr
    (machine.root / "run/reboot-required").unlink()  # as every boot does
    assert reboot(machine, make_node()).returncode == 0


@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
@pytest.mark.parametrize("archives", [None, "/srv/images", "https://mirror.example/images.tar"])
def test_shellcheck_has_no_objections(role: Role, archives: str | None, make_node: MakeNode, tmp_path: Path) -> None:
    node = make_node(role)
    checked = []
    for task in (prepared(node, image_archives=archives), *tasks(node, "centos")):
        for owned in task.steps:
            path = tmp_path / f"{task.verb}-{owned.step.name}.sh"
            path.write_text(str(owned.file.content))
            checked.append(path)
    done = subprocess.run(["shellcheck", "--norc", *checked], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
