"""What a run writes into the cluster's history, and lets discovery know of it: that it begins, and how it ended.

The folder comes first. Discovery may know an earlier head than the last line's, where a run was killed between the two or
discovery was silent, and never a later one, unless lines were cut or changed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from .. import __version__
from ..cluster.observe import Observation
from ..contract.errors import DiscoveryError, FolderError, KubeProvisionError
from ..engine.identity import Identity
from ..engine.plan import Plan
from ..engine.report import INTERRUPTED, Report
from ..engine.session import Session
from ..engine.verb import Verb
from ..engine.wish import Wish
from ..folder.history import Run

_DIGEST = re.compile("[0-9a-f]{64}")
NO_DIGEST = "no digest"

A_BUG = 1
"""Exit code."""


@contextmanager
def recorded(
    verb: Verb, session: Session, seen: Observation, plan: Plan, identity: Identity
) -> Iterator[Callable[[Report], Report]]:
    """The history tells of what is done meanwhile, where anything is to be changed of a cluster that has a folder.

    Gives what the run's end is told to, which adds to the report where that cannot be written. A run that raises has ended,
    too; one that is killed has not. Raises `FolderError`, before anything is done, where its beginning cannot be written.
    """
    if not (verb.recorded and plan.changes and session.folder.saved):
        yield lambda report: report
        return
    record = _Record.begin(session, seen, _run(plan, identity))
    try:
        yield record.end
    except BaseException as problem:
        with suppress(KubeProvisionError):
            record.write(seen, _exit_code(problem), {})
        raise


@dataclass(frozen=True)
class _Record:
    session: Session
    begun: str
    """Digest of the line with which it begins."""

    @classmethod
    def begin(cls, session: Session, seen: Observation, run: Run) -> _Record:
        known = ""
        if seen.discovery is not None:
            with suppress(DiscoveryError):
                known = known_head(session, seen)
        begun = session.folder.history.begin(run, known)
        _tell(session, seen, begun)
        return cls(session, begun)

    def end(self, report: Report) -> Report:
        outcomes = Counter(outcome.state.value for outcome in report.outcomes)
        try:
            self.write(report.observation, report.exit_code, outcomes)
        except FolderError as error:
            return replace(report, folder_error=report.folder_error or str(error))
        return report

    def write(self, seen: Observation, exit_code: int, outcomes: Mapping[str, int]) -> None:
        """Nothing where the folder was put aside, with which its history has ended."""
        if self.session.folder.saved:
            _tell(self.session, seen, self.session.folder.history.end(self.begun, exit_code, outcomes))


def known_head(session: Session, seen: Observation) -> str:
    """The head of the history that discovery was told of last; empty where it was told none, or that of another cluster.

    Who may write to discovery may have written anything there: what is no digest is only said to be none. Raises
    `DiscoveryError`.
    """
    cluster_id, _, head = (session.hook.history_head(cluster=seen.cluster) or "").partition(" ")
    if cluster_id != session.folder.cluster_id:
        return ""
    return head if _DIGEST.fullmatch(head) else NO_DIGEST


def _tell(session: Session, seen: Observation, head: str) -> None:
    """Where nobody answers the next run does it."""
    if seen.discovery is not None or _has_booted(seen):
        with suppress(DiscoveryError):
            session.hook.keep_history_head(cluster=seen.cluster, head=f"{session.folder.cluster_id} {head}")


def _has_booted(seen: Observation) -> bool:
    """A machine of discovery's that there was not before, or that was silent."""
    return any(vm.address and vm.status and vm.status.finished for vm in seen.servers)


def _run(plan: Plan, identity: Identity) -> Run:
    changes = Counter(action.mark for action in plan.changes)
    return Run(identity.verb, _asked(identity.options), identity.digest, changes, __version__)


def _asked(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is not as it is without being asked for."""
    usual = json.loads(json.dumps(asdict(Wish())))
    return {name: value for name, value in options.items() if value != usual[name]}


def _exit_code(problem: BaseException) -> int:
    if isinstance(problem, KubeProvisionError):
        return problem.exit_code
    return INTERRUPTED if isinstance(problem, KeyboardInterrupt) else A_BUG
