"""What came of a run, node by node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..boot.tasks import Answer
from ..cluster import NOBODY_ASKED, Readiness, node_of
from ..cluster.known import Known, Unknown
from ..cluster.observe import Observation, natural_order
from ..contract.machines import Role
from ..contract.templates import Template
from .executor import Outcome, State
from .plan import Action, OfNode, OfVm

DONE, FAILED, PARTLY, INTERRUPTED = 0, 3, 4, 130
"""Exit codes: done, nothing of it could be done, partly done, interrupted."""


@dataclass(frozen=True)
class NodeReport:
    """One machine, and what the run did about it."""

    name: str
    role: str
    state: State
    actions: tuple[str, ...]
    """What was done: `create`, `await`, …; empty where nothing had to be done."""
    address: str
    text: str
    """The failure, or what came of the last action."""
    seconds: float
    ready: bool | None = None
    """Whether Kubernetes itself calls the node ready. None: nobody has asked, could tell, or it is no node."""


@dataclass(frozen=True)
class Report:
    """What came of a run."""

    cluster: str
    outcomes: tuple[Outcome, ...]
    observation: Observation
    interrupted: bool = False
    notes: tuple[str, ...] = ()
    kubeconfig: Path | None = None
    readiness: Known[Readiness] | Unknown = NOBODY_ASKED
    """What Kubernetes itself says, where the run has waited for its nodes."""
    postponed: tuple[str, ...] = ()
    """Machines that are missing still, and that only another run can make."""
    hints: tuple[str, ...] = ()
    """What the run has found that its user may want to know, unlike `notes` at its end."""
    folder_error: str = ""
    """Why the cluster's folder could not be written to at the end."""
    answers: Mapping[tuple[str, str], Answer] = field(default_factory=dict)
    """What machines have answered last of what this run gave them to do, by their names and the task's verb."""
    templates: tuple[Template, ...] | None = None
    """Of a bake: as they are now; empty where the target could not be asked any more."""

    @property
    def exit_code(self) -> int:
        code = exit_code(self.outcomes, interrupted=self.interrupted)
        return PARTLY if code == DONE and (self.postponed or self.folder_error) else code

    @property
    def retryable(self) -> bool:
        """Something is left to be done, and the same run may do it by itself another time: nothing has failed for good.

        A folder that could not be written to may be by then, or refuses that run.
        """
        failed = [outcome for outcome in self.outcomes if outcome.state is State.FAILED]
        return self.exit_code != DONE and all(outcome.retryable for outcome in failed)

    @property
    def abandoned(self) -> bool:
        """Threads still run: the process must end without waiting for them."""
        return any(outcome.state is State.ABANDONED and outcome.action.mark != "." for outcome in self.outcomes)

    @property
    def nodes(self) -> tuple[NodeReport, ...]:
        """Machines that exist or were acted upon, by name; actions about something else are in `others`."""
        mine: dict[str, list[Outcome]] = {name: [] for name in self.observation.ours}
        for outcome in self.outcomes:
            if self._is_node(outcome.action):
                mine.setdefault(outcome.action.subject, []).append(outcome)
        return tuple(self._node(name, mine[name]) for name in sorted(mine, key=natural_order))

    @property
    def others(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if not self._is_node(outcome.action))

    def _is_node(self, action: Action) -> bool:
        return action.subject != self.cluster

    def _node(self, name: str, mine: Sequence[Outcome]) -> NodeReport:
        vm = self.observation.ours.get(name)
        state, text = _standing(mine)
        return NodeReport(
            name=name,
            role=next((role.value for role in (*_roles_of(mine), *((vm.stamp.role,) if vm and vm.stamp else ()))), ""),
            state=state,
            actions=tuple(outcome.action.verb for outcome in mine if outcome.state is not State.SKIPPED),
            address=(vm.address if vm else None) or "",
            text=text,
            seconds=round(sum(outcome.seconds for outcome in mine), 3),
            ready=node.ready if (node := node_of(self.readiness, name)) else None,
        )


def _standing(mine: Sequence[Outcome]) -> tuple[State, str]:
    """The first failure, else the last that was done. One that was made and not looked at is left to itself."""
    bad = [outcome for outcome in mine if not outcome.done]
    if not bad:
        return State.DONE, mine[-1].text if mine else ""
    done = [outcome.action.verb for outcome in mine if outcome.done and outcome.action.mark != "."]
    if done and bad[0].state is State.SKIPPED and bad[0].action.mark == ".":
        return State.ABANDONED, f"{done[-1]} is done; not awaited"
    return bad[0].state, bad[0].text


def exit_code(outcomes: Sequence[Outcome], *, interrupted: bool) -> int:
    if interrupted:
        return INTERRUPTED
    bad = [outcome.action for outcome in outcomes if not outcome.done]
    if not bad:
        return DONE
    return PARTLY if any(_counts(outcome) for outcome in outcomes) or all(action.tolerant for action in bad) else FAILED


def _roles_of(outcomes: Sequence[Outcome]) -> Iterator[Role]:
    for outcome in outcomes:
        if isinstance(outcome.action, OfNode):
            yield outcome.action.node.role
        elif isinstance(outcome.action, OfVm) and outcome.action.vm.stamp:
            yield outcome.action.vm.stamp.role


def _counts(outcome: Outcome) -> bool:
    """Whether something has come of it, even though others failed."""
    return outcome.done and outcome.action.mark != "." and not outcome.action.tolerant
