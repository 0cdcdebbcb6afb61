"""What machines are given to do in an upgrade, of Kubernetes or of their system: tasks as idempotent as their steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from ...contract.boot import REBOOT_REQUIRED, BootFragment, Stage, Step
from ...contract.machines import Node, Role
from ...contract.packages import Packages
from ..templating import render
from .programs import closure, command
from .task import Task, make

if TYPE_CHECKING:
    from ...config.core import CoreConfig

PROGRAM = "upgrade"
"""Of `kube_provision_node`."""
CONTROL_PLANE_LIMIT = 21600
"""Seconds. The program bounds each of its waits itself, and says what for, which a step that is ended cannot."""
_WORKER_LIMIT = 1800


class Setting(Protocol):
    """What the cluster is configured with, as one program of the new version is asked whether it takes it."""

    @property
    def name(self) -> str:
        """In a person's words."""

    @property
    def program(self) -> str:
        """Of the control plane, which has an image of that name."""

    @property
    def argument(self) -> str:
        """As it is given to the program."""

    @property
    def place(self) -> str:
        """That it is to be taken out of, in a person's words."""


def prepare(node: Node, alone: Packages, config: CoreConfig, settings: Sequence[Setting] = ()) -> Task:
    """All that disturbs nobody: the new version's kubeadm, and its images. It fails where there is no such version.

    On masters also where that kubeadm does not know what the cluster is configured with, or one of the programs in those
    images does not take what it will be told: `settings`.

    `alone` are the packages of `Component.KUBEADM_ALONE` at that version. Raises `BootError`.
    """
    kubernetes = BootFragment(steps=(*_settings(node), _images(node, config), *_arguments(settings, config)))
    fragments = {"packages": BootFragment(files=alone.files, steps=alone.steps), "kubernetes": kubernetes}
    return make("prepare-upgrade", node, fragments)


def _settings(node: Node) -> Iterator[Step]:
    if node.role is Role.MASTER:
        yield Step("settings", Stage.DISCOVER, render("steps/upgrade-settings.sh"), timeout=300, attempts=3)


def _arguments(settings: Sequence[Setting], config: CoreConfig) -> Iterator[Step]:
    """Asked of the programs themselves: nobody else has the list of what they take.

    Each reads its arguments, feature gates included, before it heeds `--version`, with which it ends: cobra's flags and
    `PersistentPreRunE` in kube-apiserver, -controller-manager and -scheduler, `config.parse` in etcd.
    """
    if settings:
        script = render("steps/upgrade-arguments.sh", image_repository=config.image_repository, settings=tuple(settings))
        yield Step("arguments", Stage.DISCOVER, script, timeout=600, attempts=2)


def control_plane(node: Node, version: str, first: bool, config: CoreConfig) -> Task:
    """A master's control plane; of the `first` one the cluster's settings besides. Its kubelet stays as it is."""
    script = command(PROGRAM, f"{'apply' if first else 'node'} {version}")
    step = Step("control-plane", Stage.JOIN, script, timeout=CONTROL_PLANE_LIMIT, attempts=2)
    return make("upgrade", node, {"kubernetes": BootFragment(files=closure(PROGRAM), steps=(_images(node, config), step))})


def kubelet(node: Node, version: str, packages: Packages, config: CoreConfig) -> Task:
    """Kubelet and kubectl, `packages` being those of `Component.KUBEADM` at that version. A worker's settings come first."""
    kubernetes = BootFragment(
        files=closure(PROGRAM) if node.role.kind is Role.WORKER else (), steps=tuple(_kubelet_steps(node, version, config))
    )
    fragments = {"packages": BootFragment(files=packages.files, steps=packages.steps), "kubernetes": kubernetes}
    return make("upgrade-kubelet", node, fragments)


def system(node: Node, version: str, steps: Sequence[Step]) -> Task:
    """What is installed at its newest, by the driver's `steps`, and a reboot where they ask for one, after which it goes on.

    A master is away from the list of masters meanwhile. Its kubelet has to be at `version` as before.
    """
    master = node.role is Role.MASTER
    kubernetes = BootFragment(files=closure(PROGRAM) if master else (), steps=tuple(_around(version, master)))
    return make("upgrade-os", node, {"packages": BootFragment(steps=tuple(steps)), "kubernetes": kubernetes})


def _around(version: str, master: bool) -> Iterator[Step]:
    """All but the packages' steps."""
    if master:
        yield Step("leave", Stage.PREPARE, command(PROGRAM, "leave"), timeout=CONTROL_PLANE_LIMIT, attempts=2)
    yield Step("reboot", Stage.JOIN, render("steps/reboot.sh", required=REBOOT_REQUIRED), timeout=900, attempts=3)
    yield Step("kubelet", Stage.FINISH, render("steps/kubelet.sh", version=version), timeout=900, attempts=2)
    if master:
        yield Step("return", Stage.FINISH, command(PROGRAM, "return"), timeout=CONTROL_PLANE_LIMIT, attempts=2)


def _kubelet_steps(node: Node, version: str, config: CoreConfig) -> Iterator[Step]:
    if node.role.kind is Role.WORKER:
        settings = command(PROGRAM, f"worker {version}")
        yield Step("settings", Stage.PREPARE, settings, timeout=_WORKER_LIMIT, attempts=3)
        yield _images(node, config)
    yield Step("kubelet", Stage.FINISH, render("steps/kubelet.sh", version=version), timeout=900, attempts=2)


def _images(node: Node, config: CoreConfig) -> Step:
    """Fetched beforehand, and looked for again at the node's turn: a kubelet whose disk fills deletes what nothing uses."""
    script = render(
        "steps/upgrade-images.sh",
        image_repository=config.image_repository,
        source=config.image_archives,
        master=node.role is Role.MASTER,
    )
    return Step("images", Stage.DISCOVER, script, timeout=3600, attempts=3)
