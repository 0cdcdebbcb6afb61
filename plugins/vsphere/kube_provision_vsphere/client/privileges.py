"""Which privileges the account lacks, asked in one call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .faults import VcenterError
from .session import Session

CANNOT_TELL = {"InvalidArgument", "MethodNotFound", "NoPermission", "NotImplemented", "NotSupported"}


def missing_privileges(session: Session, needed: Mapping[tuple[str, str], Collection[str]]) -> dict[str, list[str]]:
    """Privileges that are not granted, by object's id; empty where vCenter cannot tell.

    `needed` names objects by type and id.
    """
    asked = sorted({privilege for privileges in needed.values() for privilege in privileges})

    def ask() -> Any:
        entities = [session.managed(kind, item) for kind, item in needed]
        manager = session.content.authorizationManager
        return manager.HasPrivilegeOnEntities(entities, session.key, asked)

    try:
        answers = session.call("check the account's privileges", ask)
    except VcenterError as error:
        if error.kind in CANNOT_TELL:
            return {}
        raise
    by_object = {item: frozenset(privileges) for (_, item), privileges in needed.items()}
    missing: dict[str, list[str]] = {}
    for answer in answers:
        item = str(answer.entity._GetMoId())
        denied = [one.privId for one in answer.privAvailability if not one.isGranted and one.privId in by_object[item]]
        if denied:
            missing[item] = denied
    return missing
