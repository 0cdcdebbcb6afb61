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
        plain(status.nodes), "name", "role", "power", "address", "stage", "healthy", "drifted", "scrubbed", "error"
    )
    facts = [
        ("cluster:", f"{status.cluster}, {'initialised' if status.initialised else 'not initialised'}"),
        ("discovery:", status.discovery_error or status.discovery_address),
        ("folder:", status.folder),
        ("kubeconfig:", status.kubeconfig),
    ]
    return f"{machines}\n\n{columns(facts)}"
