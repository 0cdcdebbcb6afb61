"""A node, as the cluster itself sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .cordon import Purpose, is_ours, purpose

ROLE_LABEL = "node-role.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """One look at it."""

    name: str
    ready: bool
    roles: tuple[str, ...]
    """`control-plane` for a master; none for a worker."""
    address: str | None
    message: str = ""
    """Why it is not ready, in the kubelet's words."""
    reachable: bool = True
    """The cluster hears from it. Of one that it does not hear from, nobody knows whether its pods still run."""
    schedulable: bool = True
    kubelet: str = ""
    """The version of its kubelet, such as `1.37.1`; empty where it has not told."""
    cordoned: bool = False
    """By us, so that it takes pods again once we are done with it."""
    purpose: Purpose | None = None
    """What for; None where that is not told."""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


def read_node(document: Mapping[str, Any]) -> ClusterNode:
    metadata, status = document.get("metadata", {}), document.get("status", {})
    conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
    readiness = conditions.get("Ready", {})
    ready = readiness.get("status") == "True"
    addresses = {entry["type"]: entry["address"] for entry in reversed(status.get("addresses") or ())}
    labels = metadata.get("labels") or {}
    return ClusterNode(
        name=metadata.get("name", ""),
        ready=ready,
        roles=tuple(sorted(label.removeprefix(ROLE_LABEL) for label in labels if label.startswith(ROLE_LABEL))),
        address=addresses.get("InternalIP"),
        message="" if ready else str(readiness.get("message") or ""),
        reachable=readiness.get("status") != "Unknown",
        schedulable=not document.get("spec", {}).get("unschedulable"),
        kubelet=str((status.get("nodeInfo") or {}).get("kubeletVersion", "")).removeprefix("v"),
        cordoned=is_ours(document),
        purpose=purpose(document),
        labels=labels,
    )
