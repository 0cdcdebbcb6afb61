"""`kube-provision status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..options import Input, configuration, debug, output, state
from ..output import columns, emit, plain, table
from ..program import EXIT_CODES, SUMMARIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ...status import NodeStatusRow, Status


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
    return "\n\n".join(filter(None, [machines, _reach_table(status.nodes), columns(facts)]))


def _reach_table(nodes: Sequence[NodeStatusRow]) -> str:
    """Where this host reaches machines' ports, a column each; empty where it reaches them at their addresses."""
    ports = {port.port: (port.service or str(port.port)) for node in nodes for port in node.reach}
    if not ports:
        return ""
    head = ["FROM THIS HOST", *(ports[port].upper().replace("-", " ") for port in sorted(ports))]
    return columns([head, *([node.name, *_reached(node, sorted(ports))] for node in nodes if node.reach)])


def _reached(node: NodeStatusRow, ports: Sequence[int]) -> Iterator[str]:
    at = {port.port: f"{port.host}:{port.host_port}" for port in node.reach}
    return (at.get(port, "") for port in ports)


def _rows(status: Status) -> list[dict[str, object]]:
    """In a table, the cause stands where there is one for the error: it says the same, and better."""
    rows: list[dict[str, object]] = plain(status.nodes)
    return [{**row, "error": row["cause"] or row["error"]} for row in rows]
