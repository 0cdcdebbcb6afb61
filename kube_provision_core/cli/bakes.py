"""What came of a bake, as data and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .output import columns
from .talk import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contract.templates import Template
    from ..engine.executor import Outcome
    from ..engine.report import Report


def bake_data(report: Report, templates: Sequence[Template]) -> dict[str, Any]:
    return {
        "exit_code": report.exit_code,
        "retryable": report.retryable,
        "interrupted": report.interrupted,
        "templates": [_template_data(template, _of(template, report)) for template in templates],
        "notes": list(report.notes),
    }


def _template_data(template: Template, outcomes: list[Outcome]) -> dict[str, Any]:
    last = _telling(outcomes)
    return {
        "name": template.name,
        "roles": sorted(template.roles),
        "source": template.source,
        "where": template.where,
        "exists": template.exists,
        "state": last.state.value if last else "done",
        "actions": [outcome.action.verb for outcome in outcomes if outcome.state != "skipped"],
        "text": last.text if last else "",
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 3),
        "baked": template.baked.document if template.baked else None,
    }


def bake_table(report: Report, templates: Sequence[Template]) -> str:
    """A row per template; below, whole, why what has failed did."""
    rows: list[tuple[object, ...]] = [("TEMPLATE", "ROLES", "STATE", "DONE", "SECONDS", "TEXT")]
    failures: list[str] = []
    for template in templates:
        data = _template_data(template, _of(template, report))
        text = data["text"] or (template.baked.summary if template.baked else "")
        seconds = f"{data['seconds']:.1f}" if data["actions"] else ""
        if data["state"] != "done":
            failures.append(f"{template.name}: {one_line(text)}")
        shown = text if data["state"] == "done" else ""
        rows.append((template.name, ", ".join(data["roles"]), data["state"], ", ".join(data["actions"]), seconds, shown))
    return "\n\n".join(filter(None, [columns(rows), "\n".join(failures)]))


def _of(template: Template, report: Report) -> list[Outcome]:
    return [outcome for outcome in report.outcomes if outcome.action.subject == template.name]


def _telling(outcomes: list[Outcome]) -> Outcome | None:
    """The first failure, else the last that was done."""
    bad = [outcome for outcome in outcomes if outcome.state != "done"]
    return bad[0] if bad else outcomes[-1] if outcomes else None
