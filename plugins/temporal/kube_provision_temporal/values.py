"""What travels between clients, server and workers: references, never secrets. Who reads the namespace reads all of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

DAY = 24 * 60 * 60


class Approval(StrEnum):
    """Which plans wait until somebody agrees to them. One that changes nothing never does."""

    ALWAYS = "always"
    REMOVALS = "removals"
    """Those that remove something, or drain a node."""
    NEVER = "never"


class Effect(StrEnum):
    """What an action does to a cluster, as its mark in a plan says."""

    MAKE = "make"
    CHANGE = "change"
    """Also what mends something."""
    REMOVE = "remove"
    DRAIN = "drain"
    LOOK = "look"


_EFFECTS = {"+": Effect.MAKE, "-": Effect.REMOVE, ".": Effect.LOOK, "=": Effect.LOOK}


class Phase(StrEnum):
    """What a cluster's run is at."""

    PLANNING = "planning"
    ASKING = "waits for approval"
    APPLYING = "applying"
    STOPPING = "stopping, to pause"
    PAUSED = "paused"
    WAITING = "waits to try again"


@dataclass(frozen=True)
class Work:
    """A verb for a cluster."""

    cluster: str
    verb: str
    options: list[str] = field(default_factory=list)
    """Words for `kube-provision plan VERB`, and for `apply`: those that `words` knows."""
    config: list[str] = field(default_factory=list)
    """Files below the folder of configurations that a worker has; none: `CLUSTER.yml`."""
    approval: Approval = Approval.ALWAYS
    approval_timeout: float = DAY
    """Seconds."""
    attempts: int = 5
    """How often at most it is planned and applied, where what failed may come right by itself."""
    retry_after: float = 10
    """Seconds before it is tried again, doubled each time."""
    silence: float = 60
    """Seconds without a heartbeat after which a worker is taken for lost."""
    allow: list[Effect] | None = None
    """What a plan may hold besides looking. One that holds anything else is reported, and not applied. None: anything."""


@dataclass(frozen=True)
class Action:
    """Of a plan."""

    mark: str
    action: str
    subject: str
    reason: str = ""
    details: str = ""
    """SHA-256 of what is particular about it: which machine, made of what, in which version. Empty where nothing is."""

    @property
    def name(self) -> str:
        return f"{self.action} {self.subject}"

    @property
    def key(self) -> str:
        """What somebody agrees to: with other details it is another action."""
        return f"{self.name} {self.details}"

    @property
    def effect(self) -> Effect:
        return Effect.DRAIN if self.action == "drain" else _EFFECTS.get(self.mark, Effect.CHANGE)

    @property
    def removes(self) -> bool:
        """Something goes, or pods have to."""
        return self.effect in (Effect.REMOVE, Effect.DRAIN)

    @property
    def changes(self) -> bool:
        return self.effect is not Effect.LOOK


@dataclass(frozen=True)
class Plan:
    """What would be done."""

    digest: str
    actions: list[Action]
    notes: list[str] = field(default_factory=list)
    document: str = ""
    """What makes it this plan and no other, as `kube-provision apply` reads it; nothing that a machine says of itself."""

    def awaiting(self, approval: Approval, agreed: set[str]) -> list[Action]:
        """What of it nobody has agreed to yet. `agreed`: keys of actions that somebody has."""
        if approval is Approval.NEVER:
            return []
        concerned = [it for it in self.actions if (it.changes if approval is Approval.ALWAYS else it.removes)]
        return [it for it in concerned if it.key not in agreed]

    def beyond(self, allow: Collection[Effect] | None) -> list[str]:
        """Its actions that do anything else."""
        if allow is None:
            return []
        return [f"{it.mark} {it.name}" for it in self.actions if it.effect not in (*allow, Effect.LOOK)]


@dataclass(frozen=True)
class Agreed:
    """A plan that is to be applied."""

    work: Work
    digest: str
    document: str


@dataclass(frozen=True)
class Done:
    """What came of a run that ended well."""

    cluster: str
    changes: int = 0
    """How many actions, of all plans that it took, were to change something."""
    attempts: int = 1
    notes: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Nodes whose turn did not begin before `--until`: another run is for them."""
    beyond: list[str] = field(default_factory=list)
    """Actions of the last plan that were not allowed: nothing of that plan was applied."""


@dataclass(frozen=True)
class State:
    """A cluster's run, as it is now."""

    work: Work
    phase: Phase
    attempt: int = 1
    digest: str = ""
    """Of the plan that waits for approval, or is applied."""
    actions: list[Action] = field(default_factory=list)
    """What that plan changes."""
    notes: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    """Why the last attempt failed."""

    @property
    def asks(self) -> bool:
        return self.phase is Phase.ASKING


@dataclass(frozen=True)
class Progress:
    """A run of the program, as its worker tells with each heartbeat."""

    done: int = 0
    failed: int = 0
    running: list[str] = field(default_factory=list)
    """Actions that were begun and have not ended, a few of them."""


class Failure(StrEnum):
    """Types of failures, as they stand in a workflow's history."""

    BAD_INPUT = "BadInput"
    BUG = "Bug"
    TROUBLE = "Trouble"
    """What may come right by itself."""
    UNTOUCHED = "Untouched"
    """The same, and nothing was begun."""
    GIVEN_UP = "GivenUp"
    NOT_APPROVED = "NotApproved"
    TOO_MANY = "TooManyFailures"
