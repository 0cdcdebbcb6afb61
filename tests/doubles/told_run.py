"""Runs that nobody has run, to make pages of: of any number of machines, with whatever may happen to them."""

from __future__ import annotations

from datetime import UTC, datetime

from kube_provision_core import Cluster, Machine, Node, NodeStatus, Role, Stage, Stamp
from kube_provision_core.cli.page.recorder import Recorder
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.engine.executor import Event, Outcome, State
from kube_provision_core.engine.identity import Identity
from kube_provision_core.engine.plan import Action, AwaitBoot, CreateVm, Plan, ScrubNode, keys
from kube_provision_core.engine.report import Report

HOSTILE = """</title></style><script>alert(1)</script><img src=x onerror=alert(2)>"'&lt;{{ 7*7 }}"""
"""Text of somebody who would like to be more than text."""
FACTS = {"program": "1.0", "plugins": {"target qemu": "kube-provision-qemu 1.0"}, "configuration": {"worker": "ab12"}}
RUNNING, DONE, FAILED = State.RUNNING, State.DONE, State.FAILED


def node(name: str, role: Role = Role.WORKER) -> Node:
    return Node(name, role, 1, Machine(2, 4), Stamp("prod", "id", role, "0" * 12))


class Told:
    """A run, told moment by moment on a clock of its own."""

    def __init__(self, *names: str) -> None:
        self.actions = [action for name in names for action in self._boot(name)]
        self.outcomes: list[Outcome] = []
        self.recorder = Recorder("prod")
        self.recorder.when = datetime(2026, 11, 22, 15, 4, 5, tzinfo=UTC)
        self.recorder.began = self.recorder.ended = 0.0
        plan = Plan(tuple(self.actions), ("two masters survive no loss",))
        self.recorder.begin(plan, Identity("provision", "prod", {}, FACTS, {}))

    @staticmethod
    def _boot(name: str) -> list[Action]:
        it = node(name, Role.MASTER if name.startswith("m-") else Role.WORKER)
        create = CreateVm(node=it, reason="it does not exist")
        boot = AwaitBoot(node=it, after=keys([create]))
        return [create, boot, ScrubNode(node=it, after=keys([boot]))]

    def say(self, at: float, verb: str, name: str, state: State, text: str = "", status: NodeStatus | None = None) -> None:
        action = next(action for action in self.actions if action.key == f"{verb} {name}")
        self.recorder.timeline.take(Event(action, state, text, status), at)
        self.recorder.ended = max(self.recorder.ended, at)
        if state is not RUNNING:
            self.outcomes.append(Outcome(action, state, text, 1.0))

    def boots(self, name: str, at: float = 0.0) -> None:
        """From nothing to a node, with a wait, and a second attempt."""
        self.say(at, "create", name, RUNNING)
        self.say(at + 20, "create", name, DONE, f"/lab/vm/{name}")
        self.say(at + 20, "boot", name, RUNNING)
        self.say(at + 24, "boot", name, RUNNING, "no address yet")
        for seconds, status in (
            (31, NodeStatus(Stage.PREPARE, "running", step="core/clock")),
            (40, NodeStatus(Stage.INSTALL, "running", step="debian/packages")),
            (62, NodeStatus(Stage.INSTALL, "running", "mirror is out of reach", "debian/packages", 2, 5)),
            (80, NodeStatus(Stage.DISCOVER, "running", step="consul/agent")),
            (92, NodeStatus(Stage.JOIN, "running", doing="waits for m-prod-1 to initialise the cluster")),
            (130, NodeStatus(Stage.JOIN, "running", doing="joins the cluster")),
            (150, NodeStatus(Stage.FINISH, "running", step="core/labels")),
        ):
            self.say(at + seconds, "boot", name, RUNNING, f"10.0.2.11 {status.progress}", status)
        self.say(at + 160, "boot", name, DONE, "10.0.2.11")
        self.say(at + 160, "scrub", name, RUNNING)
        self.say(at + 160.4, "scrub", name, DONE, "secrets are gone from its boot data")

    def fails(self, name: str, at: float = 0.0, why: str = "stage join: swap is on (/dev/sda2)") -> None:
        self.say(at, "create", name, RUNNING)
        self.say(at + 15, "create", name, DONE, f"/lab/vm/{name}")
        self.say(at + 15, "boot", name, RUNNING)
        failed = NodeStatus(Stage.JOIN, "failed", why)
        self.say(at + 70, "boot", name, RUNNING, f"10.0.2.12 {failed.progress}", failed)
        self.say(at + 120, "boot", name, FAILED, why)
        self.say(at + 120, "scrub", name, State.SKIPPED, f"because of: boot {name}")

    def end(self, **more: object) -> Recorder:
        ended = self.recorder.ended
        seen = Observation(Cluster("prod", "id", "1.36", frozenset()))
        self.recorder.end(Report("prod", tuple(self.outcomes), seen, **more))  # type: ignore[arg-type]
        self.recorder.ended = ended
        return self.recorder
