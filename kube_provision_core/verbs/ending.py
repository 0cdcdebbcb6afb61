"""What verbs write down in the cluster's folder, before and after their actions, and tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract.errors import FolderError
from ..engine.facts import Facts
from ..engine.nodes import ForgetNodes
from ..engine.plan import OfTask, ScrubNode
from ..engine.session import Session
from ..engine.verb import Options
from ..folder.kubeconfig import API_PORT

if TYPE_CHECKING:
    from ..engine.report import Report

REGISTER = "register"
"""The task without which nodes that the cluster has forgotten stay away from it; see `registering`."""


def remember(session: Session, facts: Facts) -> None:
    """No machine is made of secrets that are kept nowhere."""
    session.folder.save()
    _mark_initialised(facts)


def tell(facts: Facts, options: Options, report: Report) -> Report:
    """With what Kubernetes itself says, where the run has waited for its nodes."""
    report = replace(_keep(facts, report), hints=tuple(_unscrubbed(report)))
    if not options.wait or report.interrupted or not facts.lives:
        return report
    return replace(report, readiness=facts.readiness, hints=(*report.hints, *facts.hints, *facts.drift))


def _keep(facts: Facts, report: Report) -> Report:
    """Write down what the run has found. A folder that cannot be written to is part of the report: machines were made."""
    try:
        _mark_initialised(facts)
        _end_restoration(facts, report)
        return replace(report, kubeconfig=_write_kubeconfig(facts))
    except FolderError as error:
        return replace(report, folder_error=str(error))


def _mark_initialised(facts: Facts) -> None:
    """Remember for good that the cluster lives: from now on nobody may initialise it, whatever discovery has lost."""
    if facts.lives:
        facts.folder.mark_initialised()


def _end_restoration(facts: Facts, report: Report) -> None:
    """Once nodes of before are forgotten it is a cluster as any other that lives, whatever is missing of it still.

    Where workers have yet to register again it is still being restored: else no run would have them do that. One that was to
    be destroyed for a restoration, and lives all the same, is as any other too: its nodes are its own.
    """
    forgotten = any(isinstance(outcome.action, ForgetNodes) and outcome.done for outcome in report.outcomes)
    if forgotten:
        facts.folder.mark_initialised()
    if (forgotten and not _unregistered(report)) or (facts.folder.abandoning and facts.answering):
        facts.folder.end_restore()


def _unregistered(report: Report) -> bool:
    """A worker that was to register again may not have done it."""
    return any(
        isinstance(outcome.action, OfTask) and outcome.action.task.verb == REGISTER and not outcome.done
        for outcome in report.outcomes
    )


def _write_kubeconfig(facts: Facts) -> Path | None:
    """The operator's kubeconfig, for a master that answers, or will; None where no master has an address."""
    for address in facts.seen.master_addresses:
        return facts.folder.write_kubeconfig(address, facts.seen.cluster.endpoint(address, API_PORT))
    return None


def _unscrubbed(report: Report) -> Iterator[str]:
    """Machines that were to be scrubbed and that nobody was sure of."""
    kept: dict[str, list[str]] = {}
    for outcome in report.outcomes:
        vm = report.observation.ours.get(outcome.action.subject)
        if isinstance(outcome.action, ScrubNode) and outcome.done and vm and not vm.scrubbed:
            kept.setdefault(outcome.text, []).append(vm.name)
    for text, names in kept.items():
        yield f"{', '.join(names)}: {text}"
