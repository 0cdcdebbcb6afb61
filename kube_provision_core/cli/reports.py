"""What came of a run, as data and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .output import columns, plain
from .talk import one_line

if TYPE_CHECKING:
    from ..apply import Outcome
    from ..report import NodeReport, Report


def report_data(report: Report) -> dict[str, Any]:
    return {
        "cluster": report.cluster,
        "exit_code": report.exit_code,
        "interrupted": report.interrupted,
        "nodes": plain(report.nodes),
        "others": [_outcome_data(outcome) for outcome in report.others],
        "postponed": list(report.postponed),
        "kubeconfig": str(report.kubeconfig) if report.kubeconfig else None,
        "notes": list(report.notes),
        "hints": list(report.hints),
    }


def _outcome_data(outcome: Outcome) -> dict[str, Any]:
    return {
        "subject": outcome.action.subject,
        "state": outcome.state.value,
        "action": outcome.action.verb,
        "text": outcome.text,
        "seconds": outcome.seconds,
    }


def report_table(report: Report) -> str:
    """A row per machine, then a row per other thing that was done."""
    if not report.outcomes and not report.nodes:
        return "nothing there, nothing done"
    rows: list[tuple[object, ...]] = [("NAME", "ROLE", "STATE", "DONE", "SECONDS", "ADDRESS", "READY", "TEXT")]
    rows += [_node_row(node) for node in report.nodes]
    rows += [
        (outcome.action.subject, "", outcome.state, outcome.action.verb, f"{outcome.seconds:.1f}", "", "", outcome.text)
        for outcome in report.others
    ]
    if not report.readiness.asked:
        rows = [(*row[:-2], row[-1]) for row in rows]
    facts = [f"kubeconfig: {report.kubeconfig}"] if report.kubeconfig else []
    facts += [f"to be made by another run: {', '.join(report.postponed)}"] if report.postponed else []
    facts += [f"hint: {one_line(hint)}" for hint in report.hints]
    return "\n".join([columns(rows), *(["", *facts] if facts else [])])


def _node_row(node: NodeReport) -> tuple[object, ...]:
    text = "" if node.text == node.address else node.text
    seconds = f"{node.seconds:.1f}" if node.actions else ""
    return (node.name, node.role, node.state, ", ".join(node.actions), seconds, node.address, node.ready, text)
