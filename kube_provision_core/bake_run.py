"""One run of `bake`: look, plan, apply, report; and the script alone, for whoever bakes by other means."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from .apply import Interrupt, Listen, Outcome, Sight, State, apply
from .bake import Wanted, plan
from .errors import ConfigError, KubeProvisionError
from .image import Baking, Image, Template
from .model import Node, Role
from .plan import Action, AwaitImage, BakeImage, FinishImage
from .report import exit_code
from .run import STAND_IN, Show
from .run_lock import hold
from .session import Session

PATIENCE = 3
"""Looks in a row that may fail before what is awaited is given up."""

HOOKS = ("list_templates", "bake_image", "finish_image")


@dataclass(frozen=True)
class BakeReport:
    """What came of a run."""

    outcomes: tuple[Outcome, ...]
    templates: tuple[Template, ...]
    """As they are now; empty where the target could not be asked any more."""
    interrupted: bool = False
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        return exit_code(self.outcomes, interrupted=self.interrupted)

    @property
    def abandoned(self) -> bool:
        """Threads still run: the process must end without waiting for them."""
        return any(outcome.state is State.ABANDONED and outcome.action.mark != "." for outcome in self.outcomes)


def alone(state: Path) -> AbstractContextManager[None]:
    """No other run of this user bakes meanwhile. Raises `FolderError` naming the one that does."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return hold(state / ".bake.lock", "templates")


def script(session: Session, roles: Collection[Role]) -> str:
    """The script that bakes one template for these roles, or for all that have machines. Asks nobody."""
    return _image(session, frozenset(roles) or _used(session), source="").script


def bake(
    session: Session, *, again: bool, limit: float, parallel: int | None, listen: Listen, interrupt: Interrupt, show: Show
) -> BakeReport:
    """Make every template that the configuration names hold what its roles need.

    `again`: also those that do already. `limit`: seconds that one machine may take to bake itself. `show` is told the plan
    before it is applied.
    """
    session.require("target", *HOOKS)
    used = _used(session)
    wanted = [Wanted(it, _image(session, it.roles, it.source)) for it in session.hook.list_templates(roles=used)]
    planned = plan(wanted, again=again)
    show(replace(planned, notes=(*session.config.warnings, *planned.notes)))
    baker = Baker(session, wanted, limit)
    width = parallel or session.driver("target").parallel
    outcomes = apply(planned.actions, baker, baker.watch, parallel=width, listen=listen, interrupt=interrupt)
    return BakeReport(outcomes, baker.look(), interrupt.stop.is_set(), planned.notes)


class Baker:
    """Performs the actions of one run, and looks at the machines that bake. Thread-safe."""

    def __init__(self, session: Session, wanted: Iterable[Wanted], limit: float) -> None:
        self._hook, self._limit = session.hook, limit
        self._seen = {one.template.name: one.template for one in wanted}
        self._roles = frozenset().union(*(template.roles for template in self._seen.values()))
        self._since: dict[str, float] = {}
        self._failed_looks = 0
        self._lock = threading.Lock()

    def __call__(self, action: Action) -> str:
        if isinstance(action, BakeImage):
            self._hook.bake_image(template=action.template, image=action.image)
            return f"from {action.template.source}"
        if isinstance(action, FinishImage):
            return self._finish(action)
        raise TypeError(f"nobody performs {action.key}")

    def _finish(self, action: FinishImage) -> str:
        with self._lock:
            template = self._seen[action.subject]
        self._hook.finish_image(template=template)
        return template.baking.baked.summary if template.baking and template.baking.baked else ""

    def look(self) -> tuple[Template, ...]:
        """The templates as they are now; empty where the target does not say."""
        try:
            return tuple(self._hook.list_templates(roles=self._roles))
        except KubeProvisionError:
            return ()

    def watch(self, awaited: Collection[Action]) -> Mapping[str, Sight]:
        """One look at the target for all machines that bake."""
        try:
            found = tuple(self._hook.list_templates(roles=self._roles))
        except KubeProvisionError as error:
            self._failed_looks += 1
            failed = Sight(State.FAILED, str(error))
            return {action.key: failed for action in awaited} if self._failed_looks >= PATIENCE else {}
        self._failed_looks = 0
        with self._lock:
            self._seen.update({template.name: template for template in found})
            seen = dict(self._seen)
        return {it.key: self._sight(it, seen[it.subject].baking) for it in awaited if isinstance(it, AwaitImage)}

    def _sight(self, action: AwaitImage, baking: Baking | None) -> Sight:
        waited = time.monotonic() - self._since.setdefault(action.key, time.monotonic())
        if baking is None or baking.spec != action.spec:
            return Sight(State.FAILED, "the machine that bakes it is gone; run again")
        status = baking.status
        if baking.done:
            return Sight(State.DONE, baking.baked.summary if baking.baked else "")
        if status and status.state == "failed":
            return Sight(State.FAILED, f"stage {status.stage}: {status.reason}")
        if not baking.running:
            return Sight(State.FAILED, "its machine was powered off before it was done; run again")
        where = status.progress if status else "it has not told anything yet"
        if waited > self._limit:
            return Sight(
                State.FAILED, f"{where}: not done after {waited:.0f} s; it goes on by itself, and so does the next run"
            )
        return Sight(State.RUNNING, where)


def _used(session: Session) -> frozenset[Role]:
    """Roles that have machines."""
    return frozenset(node.role for node in session.desired.all)


def _image(session: Session, roles: Collection[Role], source: str) -> Image:
    """What a template for these roles holds."""
    nodes = _one_of_each(session, roles)
    missing = set(roles) - {node.role for node in nodes}
    if missing:
        raise ConfigError(f"the configuration asks for no machine of role {', '.join(sorted(missing))}")
    desired = session.desired
    return session.bake(
        nodes, replace(desired.cluster, discovery_address=desired.cluster.discovery_address or STAND_IN), source
    )


def _one_of_each(session: Session, roles: Collection[Role]) -> list[Node]:
    """The first node of each role."""
    first: dict[Role, Node] = {}
    for node in session.desired.all:
        if node.role in roles:
            first.setdefault(node.role, node)
    return list(first.values())
