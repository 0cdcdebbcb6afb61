"""What `kube-provision plan` has printed, as it travels: what decides is kept whole, what is told is without secrets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from kube_provision_core import hide

from .values import Action, Agreed, Plan

_DECIDING = ("verb", "cluster", "options", "digest", "facts")
_OF_OTHER_VERBS = ("archive", "abandon_old", "again")
"""Options that no plan of ours has."""


def read(output: str) -> Plan:
    said = json.loads(output)
    decides = [{key: it[key] for key in ("action", "subject", "details")} for it in said["actions"]]
    document = json.dumps({**{key: said[key] for key in _DECIDING}, "actions": decides})
    return Plan(said["digest"], [_action(it) for it in said["actions"]], shown(said["notes"]), document)


def _action(said: dict[str, Any]) -> Action:
    details = json.dumps(said["details"], sort_keys=True) if said["details"] else ""
    digest = hashlib.sha256(details.encode()).hexdigest() if details else ""
    return Action(said["mark"], said["action"], said["subject"], "".join(shown([said["reason"]])), digest)


def faults(agreed: Agreed) -> list[str]:
    """Why it is no plan of its work, if it is not: who starts workflows is not only our own client."""
    try:
        said = json.loads(agreed.document)
        same = (said["verb"], said["cluster"], said["digest"]) == (agreed.work.verb, agreed.work.cluster, agreed.digest)
        ours = same and not any(said["options"].get(option) for option in _OF_OTHER_VERBS)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        ours = False
    return [] if ours else [f"this is no plan of {agreed.work.verb} for {agreed.work.cluster} that was agreed to"]


def shown(texts: Iterable[str]) -> list[str]:
    """Each as one line that cannot steer a terminal, and without what looks like a secret."""
    return [" ".join(printable(hide(text)).split()) for text in texts]


def printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
