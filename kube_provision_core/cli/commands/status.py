"""`kube-provision status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..input import Input
from ..options import configuration, output, pool, state
from ..output import columns, emit, plain, table
from ..program import subcommand
from ..talk import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...verbs.status import NodeStatusRow, Status

COLUMNS = ("name", "role", "power", "address", "stage", "healthy", "ready", "version", "drifted", "scrubbed")


@subcommand("status")
@configuration
@pool
@state
@output
def command(given: Input, pool: str, form: str) -> None:
    """Show the cluster's machines as the target and discovery see them now."""
    from ...verbs.status import status

    with given.session() as session:
        found = status(session, pool)
    emit(plain(found), form, lambda: _table(found))


def _table(status: Status) -> str:
    machines = table(plain(status.nodes), *COLUMNS)
    news = "\n".join(f"{node.name}: {one_line(node.text)}" for node in status.nodes if node.text)
    facts: list[tuple[str, object]] = [
        ("cluster:", f"{status.cluster}, {'initialised' if status.initialised else 'not initialised'}"),
        ("discovery:", status.discovery_error or status.discovery_address),
        ("folder:", status.folder),
        ("kubeconfig:", status.kubeconfig),
    ]
    facts += [("not asked:", status.kubernetes_error)] if status.kubernetes_error else []
    facts += [("hint:", hint) for hint in status.hints]
    changed = "\n".join(_changed(status.nodes))
    return "\n\n".join(filter(None, [machines, news, changed, _reach_table(status.nodes), columns(facts)]))


def _changed(nodes: Sequence[NodeStatusRow]) -> Iterator[str]:
    """What has changed since machines were made, those of one pool in a line."""
    by_change: dict[str, list[str]] = {}
    for node in nodes:
        for change in node.changes:
            by_change.setdefault(one_line(change.text), []).append(node.name)
    return (f"{', '.join(names)}: drifted: {change}" for change, names in by_change.items())


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
