"""`kube-provision status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..options import Input, configuration, debug, output, state
from ..output import columns, emit, plain, table
from ..program import EXIT_CODES, SUMMARIES

if TYPE_CHECKING:
    from pathlib import Path

    from ...status import Status


@click.command("status", short_help=SUMMARIES["status"], epilog=EXIT_CODES)
@configuration
@state
@output
@debug
def command(given: Input, state: Path, form: str) -> None:
    """Show the cluster's machines as the target and discovery see them now."""
    from ...session import open_session
    from ...status import status

    with open_session(given.load(), state) as session:
        found = status(session)
    emit(plain(found), form, lambda: _table(found))


def _table(status: Status) -> str:
    machines = table(
        _rows(status), "name", "role", "power", "address", "stage", "healthy", "ready", "drifted", "scrubbed", "error"
    )
    facts: list[tuple[str, object]] = [
        ("cluster:", f"{status.cluster}, {'initialised' if status.initialised else 'not initialised'}"),
        ("discovery:", status.discovery_error or status.discovery_address),
        ("folder:", status.folder),
        ("kubeconfig:", status.kubeconfig),
    ]
    facts += [("not asked:", status.kubernetes_error)] if status.kubernetes_error else []
    facts += [("hint:", hint) for hint in status.hints]
    return f"{machines}\n\n{columns(facts)}"


def _rows(status: Status) -> list[dict[str, object]]:
    """In a table, the cause stands where there is one for the error: it says the same, and better."""
    rows: list[dict[str, object]] = plain(status.nodes)
    return [{**row, "error": row["cause"] or row["error"]} for row in rows]
