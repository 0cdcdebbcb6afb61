"""Actions and plans: what a run would do, as plain data. Planners make them, one executor applies them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from .image import Image, Template
from .model import Node, Vm


@dataclass(frozen=True, kw_only=True)
class Action:
    """One thing to do about one machine or one other subject."""

    verb: ClassVar[str]
    mark: ClassVar[str] = "~"
    """`+` makes something, `-` removes something, `~` changes something, `=` mends what is not as it should, `.` looks."""
    tolerant: ClassVar[bool] = False
    """Done even when something that it waits for has failed."""

    reason: str = ""
    after: frozenset[str] = frozenset()
    """Keys of the actions that must be done before; when one of them fails, this one is skipped."""

    @property
    def subject(self) -> str:
        raise NotImplementedError

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


class CreateVm(OfNode):
    """Render the boot data, create the machine, power it on."""

    verb = "create"
    mark = "+"


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


class ScrubNode(OfNode):
    """Take the secrets out of the boot data that the target still holds for a finished machine."""

    verb = "scrub"


class DestroyVm(OfVm):
    """Power off and delete a stamped machine with its disks."""

    verb = "destroy"
    mark = "-"


@dataclass(frozen=True, kw_only=True)
class RemoveMember(Action):
    """Take a machine that is gone, or about to go, out of the living cluster: its etcd member, then its Node."""

    verb = "remove-member"
    mark = "-"
    name: str
    member: str | None = None
    """Id of an etcd member that has no name: a learner that never started."""

    @property
    def subject(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class MintSecrets(OfCluster):
    """Have a living master accept a fresh token and, for new masters, a fresh upload of the certificates."""

    verb = "mint"
    masters: bool


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


class WriteFolder(OfCluster):
    """Write down in the folder of secrets what a run has found. Never planned: told of only where it has failed."""

    verb = "write-folder"


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


def keys(actions: Iterable[Action]) -> frozenset[str]:
    return frozenset(action.key for action in actions)
