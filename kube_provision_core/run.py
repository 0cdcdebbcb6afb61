"""One run of a verb: lock, observe, plan, check, apply, report. Each verb reads like its table of contents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from . import control_plane as alive
from . import destroy as destroying
from . import plugins
from . import provision as provisioning
from .apply import Interrupt, Listen, Outcome, State, apply
from .errors import ConfigError, ControlPlaneError, FolderError
from .folder import Folder
from .kubeconfig import API_PORT
from .model import Boot, Node, Role
from .observe import Observation, observe
from .perform import Performer
from .plan import CreateVm, Plan, WriteFolder
from .report import Report
from .session import Session, check_identity, check_machines

STAND_IN = "255.255.255.255"
"""The discovery address with which boot data is rendered before the real one is known: none is longer."""

ADDRESS_TIMEOUT = 300.0
"""Seconds until a machine has an address, where the target has no `address_timeout` of its own."""

Show = Callable[[Plan], None]


@dataclass(frozen=True)
class Options:
    """How to run, as opposed to what should exist."""

    wait: bool = False
    """Also wait until every machine has finished its boot."""
    finish_timeout: float = 1800.0
    """Seconds that one machine may take for its boot."""
    parallel: int | None = None
    """Machines worked on at once; None takes the target's own default."""


def plan_provision(session: Session, options: Options) -> Plan:
    """What `provision` would do now, after the same checks. Changes nothing."""
    session.require("target", "provision_vm", "list_vms")
    seen = observe(session.hook, session.desired.cluster)
    plan = _plan_provision(session, seen, options)
    _check_boot(session, seen, plan)
    return plan


def provision(session: Session, options: Options, listen: Listen, interrupt: Interrupt, show: Show) -> Report:
    """Bring about what the configuration asks for. `show` is told the plan before it is applied."""
    session.require("target", "provision_vm", "list_vms")
    with _alone(session) as seen:
        plan = _plan_provision(session, seen, options)
        _check_boot(session, seen, plan)
        show(plan)
        session.folder.save()
        _mark_initialised(session.folder, seen)
        report = _apply(session, seen, plan, options, listen, interrupt)
        report = _keep(session.folder, report)
        return _with_readiness(session, report) if options.wait and not report.interrupted else report


def _with_readiness(session: Session, report: Report) -> Report:
    """What Kubernetes itself says at the end of a run that has waited for its nodes."""
    seen = report.observation
    if not provisioning.is_initialised(seen, session.folder.initialised):
        return report
    readiness = alive.ask_readiness(seen, session.folder.pki)
    return replace(report, readiness=readiness, hints=readiness_hints(session, seen, readiness))


def readiness_hints(session: Session, seen: Observation, readiness: alive.Readiness) -> tuple[str, ...]:
    """Why nodes whose boot has finished are not ready."""
    finished = [vm.name for vm in seen.ours.values() if vm.status and vm.status.finished]
    manifests = session.config.by_role[Role.MASTER].seed_manifests
    kubeconfig = session.folder.path / "kubeconfig"
    found = alive.hint(readiness, finished, network_plugin=bool(manifests), kubeconfig=kubeconfig)
    return (found,) if found else ()


def plan_destroy(session: Session, nodes: Collection[str]) -> Plan:
    """What `destroy` would do now: to single nodes, or to the whole cluster where none is named. Changes nothing."""
    session.require("target", "destroy_vm", "list_vms")
    return _plan_destroy(session, observe(session.hook, session.desired.cluster), nodes)


def destroy(
    session: Session, nodes: Collection[str], options: Options, listen: Listen, interrupt: Interrupt, confirm: Show
) -> Report:
    """Delete the cluster, or single nodes of it. `confirm` is shown the plan and raises where the user does not agree."""
    session.require("target", "destroy_vm", "list_vms")
    with _alone(session) as seen:
        plan = _plan_destroy(session, seen, nodes)
        if plan.actions:
            confirm(plan)
        return _apply(session, seen, plan, options, listen, interrupt)


@contextmanager
def _alone(session: Session) -> Iterator[Observation]:
    """Hold discovery's lock where there is a discovery service; look again once it is held.

    Where there is none yet, the folder's lock keeps runs of one machine apart, and deterministic names those of two: the
    second one to create the discovery machine finds a machine that is not its own, and stops.
    """
    seen = observe(session.hook, session.desired.cluster)
    with ExitStack() as held:
        lock = session.hook.lock_cluster(cluster=seen.cluster) if seen.discovery is not None else None
        if lock is not None:
            held.enter_context(lock)
            seen = observe(session.hook, session.desired.cluster)
        yield seen


def _plan_provision(session: Session, seen: Observation, options: Options) -> Plan:
    check_identity(session, seen)
    desired, seen = session.desired, seen.without_leftovers
    difference = provisioning.compare(desired, seen)
    initialised = provisioning.is_initialised(seen, session.folder.initialised)
    postponed = provisioning.postponed(seen, difference, initialised)
    if postponed:
        desired, difference = desired.without(postponed), replace(difference, missing=())
    living = alive.Living()
    if initialised and difference.missing:
        living = _look(session, seen)
    plan = provisioning.plan(
        desired,
        seen,
        difference,
        initialised=initialised,
        living=living,
        wait=options.wait,
        arranges=plugins.answers(session.plugins, "arrange_vms"),
    )
    names = tuple(node.name for node in postponed)
    notes = (*session.config.warnings, *provisioning.postponement(seen, names), *plan.notes)
    return replace(plan, notes=notes, postponed=names)


def _look(session: Session, seen: Observation) -> alive.Living:
    """What a living master knows. Raises `ControlPlaneError` when none answers."""
    if not seen.master_addresses and not seen.of(Role.MASTER):
        raise ControlPlaneError(
            f"cluster {seen.cluster.name} has no master any more, and with the last one it was lost: restore one on the "
            f"target, or remove what is left and begin anew: {session.remedies.destroy()}"
        )
    return alive.look(seen, session.folder.pki)


def _plan_destroy(session: Session, seen: Observation, nodes: Collection[str]) -> Plan:
    if not nodes:
        check_machines(session.folder, seen)
        return destroying.plan_cluster(seen, folder_saved=session.folder.saved)
    check_identity(session, seen)
    initialised = provisioning.is_initialised(seen, session.folder.initialised)
    living = _look(session, seen) if initialised else alive.Living()
    return destroying.plan_nodes(seen, nodes, living, session.remedies)


def _check_boot(session: Session, seen: Observation, plan: Plan) -> None:
    """Render the boot data of every kind of machine and let every plugin object, before anything is created.

    Raises `BootError`, and `ConfigError` with all objections.
    """
    cluster = replace(seen.cluster, discovery_address=seen.cluster.discovery_address or STAND_IN)
    boots: dict[tuple[object, ...], Boot] = {}
    machines: list[tuple[Node, Boot]] = []
    for action in plan.actions:
        if isinstance(action, CreateVm):
            kind = (action.node.role, action.node.stamp.carries_ca)
            boot = boots.get(kind) or boots.setdefault(kind, session.render(action.node, cluster))
            machines.append((action.node, boot))
    if machines:
        problems = [line for lines in session.hook.preflight(machines=machines) for line in lines]
        if problems:
            raise ConfigError(*problems)


def _apply(
    session: Session, seen: Observation, plan: Plan, options: Options, listen: Listen, interrupt: Interrupt
) -> Report:
    target = session.driver("target")
    performer = Performer(
        session,
        seen,
        address_timeout=getattr(target, "address_timeout", ADDRESS_TIMEOUT),
        finish_timeout=options.finish_timeout,
    )
    parallel = options.parallel or target.parallel
    outcomes = apply(plan.actions, performer, performer.watch, parallel=parallel, listen=listen, interrupt=interrupt)
    stopped = interrupt.stop.is_set()
    return Report(seen.cluster.name, outcomes, performer.observation, stopped, plan.notes, postponed=plan.postponed)


def _keep(folder: Folder, report: Report) -> Report:
    """Write down what the run has found. A folder that cannot be written to is part of the report: machines were made."""
    try:
        _mark_initialised(folder, report.observation)
        return replace(report, kubeconfig=_write_kubeconfig(folder, report.observation))
    except FolderError as error:
        failure = Outcome(WriteFolder(cluster=report.cluster), State.FAILED, str(error))
        return replace(report, outcomes=(*report.outcomes, failure))


def _mark_initialised(folder: Folder, seen: Observation) -> None:
    """Remember for good that the cluster lives: from now on nobody may initialise it, whatever discovery has lost."""
    if provisioning.is_initialised(seen, folder.initialised):
        folder.mark_initialised()


def _write_kubeconfig(folder: Folder, seen: Observation) -> Path | None:
    """The operator's kubeconfig, for a master that answers, or will; None where no master has an address."""
    for address in seen.master_addresses:
        return folder.write_kubeconfig(address, seen.cluster.endpoint(address, API_PORT))
    return None
