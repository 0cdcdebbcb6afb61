"""What a verb would do, checked as far as it can be before anything is changed. `run.py` brings it about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..boot.tasks import seal
from ..cluster.desired import to_render
from ..cluster.observe import Observation
from ..contract.boot import Boot
from ..contract.errors import ConfigError
from ..contract.machines import Node
from ..engine.facts import Facts
from ..engine.identity import Identity, identify
from ..engine.ownership import check_identity
from ..engine.plan import CreateVm, GiveTask, Plan
from ..engine.session import Session, open_session
from ..engine.verb import Options, Verb
from ..folder.on_disk import lock_templates, state_of
from . import unbaked

if TYPE_CHECKING:
    from ..backup import Archive
    from ..config import Config
    from ..folder.state import State


@contextmanager
def opened(
    verb: Verb, config: Config, state: State | Path, *, alone: bool = False, archive: Archive | None = None
) -> Iterator[Session]:
    """A session for the verb. `alone`: no other run of this user may do the like meanwhile. `archive`: as for a session.

    Raises `BusyError` naming the one that does.
    """
    if verb.of_cluster:
        with open_session(config, state, alone=alone, archive=archive) as session:
            yield session
    else:
        with lock_templates(state_of(state).local) if alone else nullcontext(), open_session(config, None) as session:
            yield session


def look(session: Session) -> Facts:
    """For whoever only wants to know. Raises `TargetError`, and `FolderError` when the cluster is another's."""
    session.require("target", "list_vms")
    facts = Facts(session)
    check_identity(facts)
    return facts


def plan(verb: Verb, session: Session, options: Options) -> tuple[Plan, Identity]:
    """What the verb would do now, after all checks that a run begins with. Changes nothing."""
    session.require("target", *verb.needs)
    return planned(verb, session, facts_for(verb, session), options)


def facts_for(verb: Verb, session: Session) -> Facts:
    """For a verb that is about no cluster nobody looks at its machines."""
    if verb.renders:
        session.prepare_to_render()
    return Facts(session) if verb.of_cluster else Facts(session, Observation(session.desired.cluster))


def planned(verb: Verb, session: Session, facts: Facts, options: Options) -> tuple[Plan, Identity]:
    """The same of facts that are at hand. Raises what keeps it from being done."""
    plan = verb.plan(session.desired, facts, options)
    _check_boot(session, facts, plan)
    _check_tasks(session, facts, plan)
    plan = replace(plan, notes=(*session.config.warnings, *plan.notes))
    return plan, identify(verb, session, facts, options, plan)


def _check_boot(session: Session, facts: Facts, plan: Plan) -> None:
    """Render the boot data of every kind of machine and let every plugin object, before anything is created.

    Of machines that are made anew one of a kind: each takes the place of one that goes. Raises `BootError`, and
    `ConfigError` with all objections.
    """
    cluster = to_render(facts.seen.cluster, len(session.desired.discovery))
    secrets = session.folder.join_secrets()
    boots: dict[tuple[object, ...], Boot] = {}
    machines: list[tuple[Node, Boot]] = []
    for action in plan.actions:
        if isinstance(action, CreateVm):
            kind = (action.node.role, action.node.stamp.carries_ca, action.node.failure_domain)
            if action.node.name in facts.seen.ours and kind in boots:
                continue
            boot = boots.get(kind) or boots.setdefault(kind, session.render(action.node, action.joins(cluster), secrets))
            machines.append((action.node, boot))
    if machines:
        problems = [line for lines in session.hook.preflight(machines=machines) for line in lines]
        if problems:
            raise ConfigError(*unbaked.tell(facts, problems))


def _check_tasks(session: Session, facts: Facts, plan: Plan) -> None:
    """Raise `ConfigError` for tasks that the target cannot carry, before any is given."""
    given = [action for action in plan.actions if isinstance(action, GiveTask)]
    limit = session.hook.task_limit() if given else None
    if limit is not None:
        too_large = [line for action in given if (line := _too_large(session, facts, action, limit))]
        if too_large:
            raise ConfigError(*too_large)


def _too_large(session: Session, facts: Facts, action: GiveTask, limit: int) -> str:
    stamp = facts.seen.ours[action.subject].stamp or action.node.stamp
    size = len(seal(action.task, action.subject, stamp, session.folder.pki).content)
    where = session.config.driver("target").name
    return (
        f"{action.subject}: {action.task.verb} takes {size} bytes, and target {where} carries {limit}"
        if size > limit
        else ""
    )
