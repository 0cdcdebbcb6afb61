"""Workers that joined after a backup: the cluster that begins with it does not know them, and they have to register again.

A kubelet registers its node when it starts, and never again while it runs: `registrationCompleted` is not taken back where
the node has vanished (`pkg/kubelet/kubelet_node_status.go`, https://github.com/kubernetes/kubernetes/issues/71398). Started
anew it does, with the certificate that it has; its pods go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..boot.tasks import Task, make
from ..contract.boot import BootFragment, Stage, Step
from ..contract.machines import Node, Power
from ..engine.facts import Facts
from ..engine.plan import Action
from .ending import REGISTER
from .giving import given, silence

SCRIPT = "systemctl restart kubelet\n"
SECONDS = 120


def newcomers(workers: Collection[Node], facts: Facts) -> list[Node]:
    """Those that run, and that the backup does not know. One that is started or made now registers itself."""
    known = facts.archive.about.machines if facts.archive else {}
    running = {vm.name for vm in facts.seen.ours.values() if vm.power is Power.ON and vm.status and vm.status.finished}
    return [node for node in workers if node.name in running and node.name not in known]


def registered(workers: Collection[Node], facts: Facts, after: frozenset[str]) -> Iterator[Action]:
    """Has them do it, those that can be given a task."""
    for node in workers:
        if not _deaf(node, facts):
            yield from given(node, _task(node), "it joined after the backup, and the cluster does not know it", after)


def unregistered(workers: Collection[Node], facts: Facts) -> Iterator[str]:
    """What to do about the others."""
    for node in workers:
        if why := _deaf(node, facts):
            yield f"{node.name} joined after the backup, and {why}. At the end, there: {SCRIPT.strip()}"


def _deaf(node: Node, facts: Facts) -> str:
    return silence(node.name, facts.seen) if facts.delivers else "the target brings machines no tasks"


def _task(node: Node) -> Task:
    step = Step("register", Stage.FINISH, SCRIPT, timeout=SECONDS, attempts=3)
    return make(REGISTER, node, {"kubelet": BootFragment(steps=(step,))})
