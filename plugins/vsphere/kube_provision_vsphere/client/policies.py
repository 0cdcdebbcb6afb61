"""Storage policies: what they are called, and which datastores satisfy one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from ..resources import Policy
from .session import Session
from .vmomi import pbm


def read_policies(session: Session, names: Collection[str], datastores: Iterable[str]) -> tuple[Policy, ...]:
    """All that there are; of those of these names, with which of the datastores satisfy them. Nobody is asked for none."""
    if not names:
        return ()
    return session.call("read storage policies", lambda: tuple(_read(session, names, sorted(datastores))))


def _read(session: Session, names: Collection[str], datastores: Iterable[str]) -> Iterable[Policy]:
    storage = pbm.profile.ResourceType(resourceType="STORAGE")
    with session.storage() as content:
        ids = content.profileManager.QueryProfile(storage, "REQUIREMENT")
        for profile in content.profileManager.RetrieveContent(ids) if ids else ():
            satisfying = _satisfying(content, profile, datastores) if profile.name in names else ()
            yield Policy(profile.profileId.uniqueId, profile.name, frozenset(satisfying))


def _satisfying(content: Any, profile: Any, datastores: Iterable[str]) -> Iterable[str]:
    hubs = [pbm.placement.PlacementHub(hubType="Datastore", hubId=item) for item in datastores]
    wanted = pbm.placement.CapabilityProfileRequirement(profileId=profile.profileId)
    results = content.placementSolver.CheckRequirements(hubs, None, [wanted])
    return (result.hub.hubId for result in results if not result.error)
