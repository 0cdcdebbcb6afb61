"""A plan as data and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .output import columns

if TYPE_CHECKING:
    from ..plan import Plan


def plan_data(cluster: str, plan: Plan) -> dict[str, Any]:
    actions = [
        {
            "mark": action.mark,
            "action": action.verb,
            "subject": action.subject,
            "reason": action.reason,
            "after": sorted(action.after),
        }
        for action in plan.actions
    ]
    return {"cluster": cluster, "changes": len(plan.changes), "actions": actions, "notes": list(plan.notes)}


def plan_table(plan: Plan) -> str:
    """What would change; what is only looked at is left out."""
    rows = [(action.mark, action.verb, action.subject, action.reason) for action in plan.changes]
    return columns(rows) if rows else "nothing to change"
