"""One run of a verb, and of all verbs alike: lock, facts, plan, check, show, apply, report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..boot.tasks import seal
from ..cluster import Roll, ask_readiness
from ..cluster.desired import to_render
from ..cluster.observe import Observation
from ..contract.boot import Boot
from ..contract.errors import ConfigError, DiscoveryError
from ..contract.kinds import ADDRESS_TIMEOUT, BOOT_TIMEOUT, TargetDriver
from ..contract.machines import Node
from ..engine.executor import Event, Interrupt, apply
from ..engine.facts import Facts
from ..engine.handlers import Performer
from ..engine.identity import Identity, check_meant, check_same, identify
from ..engine.latest import Latest
from ..engine.ownership import check_identity
from ..engine.plan import CreateVm, DestroyVm, GiveTask, Plan
from ..engine.report import Report
from ..engine.session import Session, open_session
from ..engine.verb import Options, Verb
from ..engine.watch import Watcher
from ..folder.on_disk import lock_templates, state_of
from ..registry import declared
from . import unbaked
from .recording import recorded

if TYPE_CHECKING:
    from ..backup import Archive
    from ..config import Config
    from ..folder.state import State


class User(Protocol):
    """Whoever a run is for."""

    @property
    def interrupt(self) -> Interrupt:
        """How the run is stopped."""

    def begin(self, plan: Plan, identity: Identity) -> None:
        """Is shown what will be done, before it is; raises where that is not agreed to."""

    def listen(self, event: Event) -> None:
        """Is told how it goes. Called from several threads."""

    def end(self, report: Report) -> None:
        """Is told what came of it."""


def plan(verb: Verb, session: Session, options: Options) -> tuple[Plan, Identity]:
    """What the verb would do now, after the same checks. Changes nothing."""
    session.require("target", *verb.needs)
    facts = _facts(verb, session)
    plan = _plan(verb, session, facts, options)
    return plan, identify(verb, session, facts, options, plan)


def run(verb: Verb, session: Session, options: Options, user: User, agreed: Identity | None = None) -> Report:
    """Do it. What keeps it from being done is raised before anything is changed.

    `agreed`: do what was planned, or raise `ConfigError` with what has changed since. Nothing of the old plan is carried
    out: it is planned anew and compared, once before discovery's lock is taken, so that a plan which is refused writes
    nothing anywhere, and once more under it.
    """
    session.require("target", *verb.needs)
    if agreed:
        check_meant(agreed, session.config.core.name)
        check_same(agreed, plan(verb, session, options)[1])
    with _alone(verb, session) as facts:
        planned = _plan(verb, session, facts, options)
        identity = identify(verb, session, facts, options, planned)
        if agreed:
            check_same(agreed, identity)
        user.begin(planned, identity)
        verb.begin(session, facts)
        with recorded(verb, session, facts.seen, planned, identity) as ends:
            _admit(session, facts.seen)
            report = _apply(verb, session, facts, planned, options, user)
            report = _dismiss(session, planned, report)
            report = ends(verb.report(Facts(session, report.observation), options, report))
        user.end(report)
        return report


def look(session: Session) -> Facts:
    """For whoever only wants to know. Raises `TargetError`, and `FolderError` when the cluster is another's."""
    session.require("target", "list_vms")
    facts = Facts(session)
    check_identity(facts)
    return facts


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


@contextmanager
def _alone(verb: Verb, session: Session) -> Iterator[Facts]:
    """Hold discovery's lock where there is a discovery service; look again once it is held.

    Where there is none yet, or none that answers, only the folder's own lock holds, between the runs of one host. On two
    hosts with folders of their own the second one to create the discovery machine finds a machine that is not its own, and
    stops. With one state in a store that machine is its own: of two first runs that begin at once one wins, and but for the
    names of machines nothing keeps apart one that begins once the other has written its number.
    """
    facts = _facts(verb, session)
    with ExitStack() as held:
        lock = session.hook.lock_cluster(cluster=facts.seen.cluster) if facts.seen.discovery is not None else None
        if lock is not None:
            held.enter_context(lock)
            facts = _facts(verb, session)
        yield facts


def _facts(verb: Verb, session: Session) -> Facts:
    """For a verb that is about no cluster nobody looks at its machines."""
    if verb.renders:
        session.prepare_to_render()
    return Facts(session) if verb.of_cluster else Facts(session, Observation(session.desired.cluster))


def _plan(verb: Verb, session: Session, facts: Facts, options: Options) -> Plan:
    plan = verb.plan(session.desired, facts, options)
    _check_boot(session, facts, plan)
    _check_tasks(session, facts, plan)
    return replace(plan, notes=(*session.config.warnings, *plan.notes))


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


def _apply(verb: Verb, session: Session, facts: Facts, plan: Plan, options: Options, user: User) -> Report:
    target, latest = session.target, Latest(facts.seen)
    roll = Roll(lambda: ask_readiness(latest.observation, session.folder.pki))
    watcher = Watcher(
        session,
        latest,
        roll,
        address_timeout=declared(target, "address_timeout", ADDRESS_TIMEOUT),
        finish_timeout=_finish_timeout(verb, target, plan, options),
    )

    def listen(event: Event) -> None:
        latest.note_event(event)
        user.listen(event)

    outcomes = apply(
        plan.actions,
        Performer(session, latest, roll),
        watcher,
        parallel=options.parallel or target.parallel,
        listen=listen,
        interrupt=user.interrupt,
    )
    interrupted = user.interrupt.stop.is_set()
    return Report(
        facts.seen.cluster.name,
        outcomes,
        latest.observation,
        interrupted,
        plan.notes,
        postponed=plan.postponed,
        answers=latest.answers,
    )


def _admit(session: Session, seen: Observation) -> None:
    """Let discovery know all machines before there are more. Where its own machine is made first, that brings them along."""
    if seen.discovery is not None:
        session.hook.admit_nodes(cluster=seen.cluster)


def _dismiss(session: Session, plan: Plan, report: Report) -> Report:
    """Let discovery forget the machines that are gone. Where it cannot now, the next run does."""
    if not any(isinstance(action, DestroyVm) for action in plan.actions):
        return report
    try:
        _admit(session, report.observation)
    except DiscoveryError as error:
        return replace(report, notes=(*report.notes, f"rights of machines that are gone stay until the next run: {error}"))
    return report


def _finish_timeout(verb: Verb, target: TargetDriver, plan: Plan, options: Options) -> float:
    """A target may have to look at its host to know, which a run without anything to do spares."""
    for given in (options.finish_timeout, verb.finish_timeout):
        if given is not None:
            return given
    return declared(target, "boot_timeout", BOOT_TIMEOUT) if plan.actions else BOOT_TIMEOUT
