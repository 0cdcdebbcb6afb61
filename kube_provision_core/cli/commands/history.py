"""`kube-provision history`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..ending import Ending
from ..input import Input
from ..options import configuration, output, state
from ..output import columns, emit, plain
from ..program import subcommand
from ..talk import note, one_line

if TYPE_CHECKING:
    from ...folder.history import Run
    from ...verbs.history import ClusterHistory

HEAD = ("BEGUN", "BY", "VERB", "CHANGES", "PLAN", "ENDED", "HOW")
SHOWN = 12
"""Of a digest's digits."""


@subcommand("history")
@configuration
@state
@output
def command(given: Input, form: str) -> None:
    """Show who has changed what of the cluster, when, and how that ended; the newest last.

    It lies in the cluster's folder. Where it was cut, or changed, that is said, and the exit code is 2.
    """
    from ...contract.errors import FolderError
    from ...verbs.history import history

    with given.session() as session:
        found = history(session, given.state)
    emit(plain(found), form, lambda: _table(found))
    if found.unknown:
        note(f"it was not compared with what discovery knows: {found.unknown}")
    elif found.runs and not found.known:
        note("discovery knows no head of it: nobody would notice that its last lines were cut")
    if found.fault:
        raise FolderError(f"the history of cluster {found.cluster} is not as it was written: {found.fault}")


def _table(found: ClusterHistory) -> str:
    if not found.runs:
        return "nothing was changed so far, as far as the folder tells"
    rows = [HEAD, *(_row(run, last=run is found.runs[-1]) for run in found.runs)]
    return "\n\n".join(filter(None, [columns(rows), "\n".join(_losses(found))]))


def _row(run: Run, *, last: bool) -> tuple[object, ...]:
    nodes = run.options.get("nodes")
    pool = run.options.get("pool")
    said = " ".join([run.verb, *(map(str, nodes) if isinstance(nodes, list) else ()), *([f"--pool {pool}"] if pool else ())])
    changes = " ".join(f"{mark}{count}" for mark, count in sorted(run.changes.items()))
    return run.begun, run.by, said, changes, run.digest[:SHOWN], run.ended, _how(run, last)


def _how(run: Run, last: bool) -> str:
    if run.exit_code is not None:
        return Ending(run.exit_code).word
    return "at work still, or killed" if last else "killed"


def _losses(found: ClusterHistory) -> Iterator[str]:
    for run in found.runs:
        if run.lost:
            known = f"discovery knew of a line {one_line(run.lost[:SHOWN])}… that was not there"
            yield (
                f"lost: as the run of {one_line(run.begun)} began, {known}: the folder was made anew or put back, or its "
                "history was cut"
            )
