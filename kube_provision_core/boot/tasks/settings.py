"""What a machine is given to do so that its kubelet runs with what the configuration says now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...contract.boot import BootFragment, File, Stage, Step
from ...contract.machines import Node
from .. import kubelet
from ..kubeadm_config import KUBELET_DROP_INS
from ..templating import render
from .task import Task, make

if TYPE_CHECKING:
    from ...config.core import CoreConfig

NEW = "/var/lib/kube-provision/kubelet-settings.conf"
"""Where they wait until they take the place of those of before."""


def kubelet_settings(node: Node, config: CoreConfig) -> Task:
    """The same drop-in that a machine is made with, on one that was made without any, too; the kubelet starts anew.

    Where it does not become healthy with it, that of before comes back, and the task fails.
    """
    script = render("steps/kubelet-settings.sh", settings=kubelet.SETTINGS, new=NEW, folder=KUBELET_DROP_INS)
    step = Step("kubelet-settings", Stage.FINISH, script, timeout=1800, attempts=1)
    return make("settings", node, {"kubernetes": BootFragment(files=(File(NEW, kubelet.drop_in(config)),), steps=(step,))})
