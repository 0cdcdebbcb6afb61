"""A plan as data and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..contract.errors import ConfigError
from ..engine.nodes import DrainNode
from ..engine.plan import AwaitNode, keys
from .output import columns

if TYPE_CHECKING:
    from ..engine.identity import Identity
    from ..engine.plan import Plan


def plan_data(plan: Plan, identity: Identity) -> dict[str, Any]:
    actions = [
        {
            "mark": action.mark,
            "action": action.verb,
            "subject": action.subject,
            "reason": action.reason,
            "after": sorted(action.after),
            "details": None if action.details is None else dict(action.details),
        }
        for action in plan.actions
    ]
    return {
        "verb": identity.verb,
        "cluster": identity.cluster,
        "options": identity.options,
        "digest": identity.digest,
        "changes": len(plan.changes),
        "actions": actions,
        "notes": list(plan.notes),
        "facts": identity.facts,
    }


def read_plan(path: str) -> Identity:
    """What was planned. Raises `ConfigError` for a file that is no plan."""
    from pathlib import Path

    from ..engine.identity import read

    try:
        return read(Path(path).read_text("utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from error


def plan_table(plan: Plan) -> str:
    """What would change, and the drains, which are looked at while they end pods; what is only looked at is left out."""
    changes = keys(plan.changes)
    shown = (action for action in plan.actions if action.key in changes or isinstance(action, DrainNode))
    rows = [(action.mark, action.verb, action.subject, action.reason) for action in shown]
    if rows:
        return columns(rows)
    awaited = ", ".join(sorted({action.subject for action in plan.actions if isinstance(action, AwaitNode)}))
    return f"nothing to change{f'; awaited: {awaited}' if awaited else ''}"
