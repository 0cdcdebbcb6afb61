"""Actions and plans: what a run would do, as plain data. Planners make them, one executor applies them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ..contract.machines import Cluster, Node, Vm
from ..contract.templates import Image, Template

if TYPE_CHECKING:
    from ..boot.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Action(ABC):
    """One thing to do about one machine or one other subject."""

    mark: ClassVar[str] = "~"
    """`+` makes something, `-` removes something, `~` changes something, `=` mends what is not as it should, `.` looks."""
    tolerant: ClassVar[bool] = False
    """Done even when something that it waits for has failed."""
    takes_back: ClassVar[bool] = False
    """Done even when the user has stopped the run, where something that it waits for had begun."""

    reason: str = ""
    after: frozenset[str] = frozenset()
    """Keys of the actions that must be done before; when one of them fails, this one is skipped."""

    @property
    @abstractmethod
    def verb(self) -> str:
        """What is done, in a word."""

    @property
    @abstractmethod
    def subject(self) -> str:
        """Name of what it is about."""

    @property
    def details(self) -> Mapping[str, object] | None:
        """What is particular about it, as plain data: with another one it is another plan. None: it decides nothing.

        What only looks, and what mends, follows from how far machines are.
        """
        return None if self.mark in (".", "=") else {}

    @property
    def key(self) -> str:
        return f"{self.verb} {self.subject}"


@dataclass(frozen=True, kw_only=True)
class OfNode(Action):
    node: Node

    @property
    def subject(self) -> str:
        return self.node.name


@dataclass(frozen=True, kw_only=True)
class OfVm(Action):
    vm: Vm

    @property
    def subject(self) -> str:
        return self.vm.name


@dataclass(frozen=True, kw_only=True)
class OfCluster(Action):
    cluster: str

    @property
    def subject(self) -> str:
        return self.cluster


@dataclass(frozen=True, kw_only=True)
class CreateVm(OfNode):
    """Render the boot data, create the machine, power it on."""

    verb = "create"
    mark = "+"
    version: str = ""
    """Of Kubernetes, where the living cluster has another than the configuration says."""

    @property
    def details(self) -> Mapping[str, object]:
        version = {"version": self.version} if self.version else {}
        domain = {"failure_domain": self.node.failure_domain.name} if self.node.failure_domain else {}
        return {"spec": self.node.stamp.spec, "may_initialise": self.node.stamp.carries_ca, **version, **domain}

    def joins(self, cluster: Cluster) -> Cluster:
        """The cluster as this machine's boot data is to be told of it."""
        return replace(cluster, kubernetes_version=self.version) if self.version else cluster


class StartVm(OfNode):
    """Power on a machine that exists."""

    verb = "start"


class AwaitNode(OfNode):
    """Look at the machine until it has an address."""

    verb = "await"
    mark = "."
    until_finished: ClassVar[bool] = False


class AwaitBoot(AwaitNode):
    """Look at the machine until its boot has finished."""

    verb = "boot"
    until_finished = True


class AwaitMasters(OfCluster):
    """Look at the cluster until a master serves, and until all are ready."""

    verb = "ready"
    mark = "."
    tolerant = True


@dataclass(frozen=True, kw_only=True)
class RestampVm(OfNode):
    """Write on the machine that it is as if it was made from today's configuration, once it is."""

    verb = "stamp"
    changes: tuple[str, ...] = ()
    """What was applied to it, in a person's words."""

    @property
    def details(self) -> Mapping[str, object]:
        return {"spec": self.node.stamp.spec, "changes": list(self.changes)}


class ScrubNode(OfNode):
    """Take the secrets out of the boot data that the target still holds for a finished machine."""

    verb = "scrub"
    details = None


@dataclass(frozen=True, kw_only=True)
class OfTask(OfNode):
    """About what a machine that lives is given to do; see `boot.tasks`."""

    task: Task


class GiveTask(OfTask):
    """Seal it for the machine, and put it where the machine finds it."""

    @property
    def verb(self) -> str:
        return f"give-{self.task.verb}"

    @property
    def details(self) -> Mapping[str, object]:
        return {"task": self.task.verb, "content": self.task.digest}


@dataclass(frozen=True, kw_only=True)
class AwaitTask(OfTask):
    """Look at the machine until it answers that the task is done."""

    mark = "."
    patience: float | None = None
    """Seconds in which the machine is to take it; None: as long as whatever else it is at may last."""

    @property
    def verb(self) -> str:
        return self.task.verb


@dataclass(frozen=True, kw_only=True)
class ClearTask(OfNode):
    """Take away what waits for a machine, done or not: nothing of it stays on the target."""

    mark = "="
    tolerant = True
    takes_back = True
    what: str = "task"
    """Which of the things that a run gives the machine, one after another."""

    @property
    def verb(self) -> str:
        return f"clear-{self.what}"


class DestroyVm(OfVm):
    """Power off and delete a stamped machine with its disks."""

    verb = "destroy"
    mark = "-"

    @property
    def details(self) -> Mapping[str, object]:
        return {"id": self.vm.id}


@dataclass(frozen=True, kw_only=True)
class MintSecrets(OfCluster):
    """Have a living master accept a fresh token and, for new masters, a fresh upload of the certificates."""

    verb = "mint"
    masters: bool
    renew: bool = False
    """Upload with a new key: no master is about to join with the one that it was given."""
    node: str = ""
    """The machine that they are for, where each one gets its own."""

    @property
    def subject(self) -> str:
        return self.node or self.cluster

    @property
    def details(self) -> Mapping[str, object]:
        return {"masters": self.masters}


class ArrangeVms(OfCluster):
    """Let the target arrange the machines among themselves, such as masters on different hosts."""

    verb = "arrange"
    tolerant = True


class CheckArrangement(ArrangeVms):
    """The same where no machine is made: an earlier run may have been killed before it came to it."""

    mark = "="


@dataclass(frozen=True, kw_only=True)
class ForgetInitialising(OfCluster):
    """Delete the record that a machine which is gone was initialising the cluster."""

    verb = "forget-initialising"
    name: str


class ForgetCluster(OfCluster):
    """Let discovery forget the cluster."""

    verb = "forget"
    mark = "-"


@dataclass(frozen=True, kw_only=True)
class OfRestoration(OfCluster):
    sha256: str
    """Of the snapshot that it begins with."""
    masters_only: bool = False
    """Workers are those of before, and stay."""

    @property
    def details(self) -> Mapping[str, object]:
        return {"sha256": self.sha256, "masters_only": self.masters_only}


class AbandonCluster(OfRestoration):
    """Write down that what is left of the cluster is taken away for a restoration that begins with this snapshot."""

    verb = "abandon"


class BeginRestore(OfRestoration):
    """Write down that what exists of the cluster from now on begins with this snapshot, until it lives."""

    verb = "begin-restore"


class BringSnapshot(OfNode):
    """Bring the snapshot to the master that begins with it, as soon as that waits for it."""

    verb = "snapshot"


class ArchiveFolder(OfCluster):
    """Move the folder of secrets aside."""

    verb = "archive-folder"


@dataclass(frozen=True, kw_only=True)
class OfTemplate(Action):
    template: Template

    @property
    def subject(self) -> str:
        return self.template.name


@dataclass(frozen=True, kw_only=True)
class BakeImage(OfTemplate):
    """Make a machine that bakes itself, and power it on."""

    verb = "bake"
    mark = "+"
    image: Image

    @property
    def details(self) -> Mapping[str, object]:
        return {"content": self.image.spec}


@dataclass(frozen=True, kw_only=True)
class AwaitImage(OfTemplate):
    """Look at the machine until it has baked itself."""

    verb = "await"
    mark = "."
    spec: str


class FinishImage(OfTemplate):
    """Make the machine the template, in place of an earlier one."""

    verb = "finish"


@dataclass(frozen=True)
class Plan:
    """Actions in an order that respects what each waits for, and what the user should know."""

    actions: tuple[Action, ...]
    notes: tuple[str, ...] = ()
    postponed: tuple[str, ...] = ()
    """Machines that are missing, and that only a later run can make."""

    @property
    def changes(self) -> tuple[Action, ...]:
        """Actions that surely do something."""
        return tuple(action for action in self.actions if action.mark not in (".", "="))


def made_in(node: Node, reason: str) -> str:
    """The reason for which a machine is made, and where it is to stand."""
    return f"{reason}; in failure domain {node.failure_domain.name}" if node.failure_domain else reason


def keys(actions: Iterable[Action]) -> frozenset[str]:
    return frozenset(action.key for action in actions)
