"""One run of a verb, and of all verbs alike: lock, facts, plan, check, show, apply, report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Protocol

from ..cluster import Roll, ask_readiness
from ..cluster.observe import Observation
from ..contract.errors import DiscoveryError
from ..contract.kinds import ADDRESS_TIMEOUT, BOOT_TIMEOUT, TargetDriver
from ..engine.executor import Event, Interrupt, apply
from ..engine.facts import Facts
from ..engine.handlers import Performer
from ..engine.identity import Identity, check_meant, check_same
from ..engine.latest import Latest
from ..engine.plan import DestroyVm, Plan
from ..engine.report import Report
from ..engine.session import Session
from ..engine.verb import Options, Verb
from ..engine.watch import Watcher
from ..registry import declared
from . import planning
from .recording import recorded


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


def run(verb: Verb, session: Session, options: Options, user: User, agreed: Identity | None = None) -> Report:
    """Do it. What keeps it from being done is raised before anything is changed.

    `agreed`: do what was planned, or raise `ConfigError` with what has changed since. Nothing of the old plan is carried
    out: it is planned anew and compared, once before discovery's lock is taken, so that a plan which is refused writes
    nothing anywhere, and once more under it.
    """
    session.require("target", *verb.needs)
    if agreed:
        check_meant(agreed, session.config.core.name)
        check_same(agreed, planning.plan(verb, session, options)[1])
    with _alone(verb, session) as facts:
        planned, identity = planning.planned(verb, session, facts, options)
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


@contextmanager
def _alone(verb: Verb, session: Session) -> Iterator[Facts]:
    """Hold discovery's lock where there is a discovery service; look again once it is held.

    Where there is none yet, or none that answers, only the folder's own lock holds, between the runs of one host. On two
    hosts with folders of their own the second one to create the discovery machine finds a machine that is not its own, and
    stops. With one state in a store that machine is its own: of two first runs that begin at once one wins, and but for the
    names of machines nothing keeps apart one that begins once the other has written its number.
    """
    facts = planning.facts_for(verb, session)
    with ExitStack() as held:
        lock = session.hook.lock_cluster(cluster=facts.seen.cluster) if facts.seen.discovery is not None else None
        if lock is not None:
            held.enter_context(lock)
            facts = planning.facts_for(verb, session)
        yield facts


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
