"""What came of a run, as data and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..cluster.known import Unknown
from .output import columns, plain
from .talk import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..engine.executor import Outcome
    from ..engine.report import NodeReport, Report


def report_data(report: Report) -> dict[str, Any]:
    return {
        "cluster": report.cluster,
        "exit_code": report.exit_code,
        "retryable": report.retryable,
        "interrupted": report.interrupted,
        "nodes": plain(report.nodes),
        "others": [_outcome_data(outcome) for outcome in report.others],
        "postponed": list(report.postponed),
        "kubeconfig": str(report.kubeconfig) if report.kubeconfig else None,
        "notes": list(report.notes),
        "hints": list(report.hints),
        "folder_error": report.folder_error,
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
    """A row per machine, then a row per other thing that was done; below, whole, why what has failed did."""
    rows: list[tuple[object, ...]] = [("NAME", "ROLE", "STATE", "DONE", "SECONDS", "ADDRESS", "READY", "TEXT")]
    rows += [_node_row(node) for node in report.nodes]
    rows += [
        (outcome.action.subject, "", outcome.state, outcome.action.verb, f"{outcome.seconds:.1f}", "", "", _short(outcome))
        for outcome in report.others
    ]
    if isinstance(report.readiness, Unknown):
        rows = [(*row[:-2], row[-1]) for row in rows]
    if not any(row[-1] for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    failures = [f"{name}: {one_line(text)}" for name, text in _failures(report)]
    facts = [f"kubeconfig: {report.kubeconfig}"] if report.kubeconfig else []
    facts += [f"left to another run: {', '.join(report.postponed)}"] if report.postponed else []
    facts += [f"hint: {one_line(hint)}" for hint in report.hints]
    done = columns(rows) if len(rows) > 1 else "nothing there, nothing done"
    return "\n\n".join("\n".join(lines) for lines in ([done], failures, facts) if lines)


def _node_row(node: NodeReport) -> tuple[object, ...]:
    text = node.text if node.state in ("skipped", "abandoned") else ""
    seconds = f"{node.seconds:.1f}" if node.actions else ""
    return (node.name, node.role, node.state, ", ".join(_told(node.actions)), seconds, node.address, node.ready, text)


def _told(actions: Sequence[str]) -> list[str]:
    """That a task is handed over, and taken away, goes without saying where it is told of itself."""
    beside = {f"{way}-{task}" for task in actions for way in ("give", "clear")}
    return [action for action in actions if action not in beside]


def _short(outcome: Outcome) -> str:
    return "" if outcome.state == "failed" else outcome.text


def _failures(report: Report) -> Iterator[tuple[str, str]]:
    yield from ((node.name, node.text) for node in report.nodes if node.state == "failed")
    yield from ((outcome.action.subject, outcome.text) for outcome in report.others if outcome.state == "failed")
    if report.folder_error:
        yield report.cluster, report.folder_error
